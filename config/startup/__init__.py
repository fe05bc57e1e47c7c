"""What `manage.py up` does before the parts of the system run."""
