"""Uploads that survive a cut connection: tus 1.0 (https://tus.io), straight into ciphertext."""
