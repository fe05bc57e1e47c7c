// What the page says before a file is chosen, and tells of a file before it is sent. The server
// judges again, over real bytes.

import { binarySize } from "./sizes.js";

function limits() {
  const { maxBytes, leftBytes, leftFiles } = document.getElementById("limits").dataset;
  return { maxBytes: Number(maxBytes), leftBytes: Number(leftBytes), leftFiles: Number(leftFiles) };
}

/** The numbers behind a refusal, as a sentence. */
export function numbersOf(code, size) {
  const { maxBytes, leftBytes } = limits();
  switch (code) {
    case "upload_too_large":
      return `This one has ${binarySize(size)}; a file may have ${binarySize(maxBytes)}.`;
    case "quota_exceeded":
      return `This one has ${binarySize(size)}; you have room for ${binarySize(leftBytes)}.`;
    case "name_too_long":
      return "A name may have 255 characters.";
    default:
      return "";
  }
}

/** Why a file need not be sent at all; null if nothing is known against it. */
export function refusalOf(size) {
  const { maxBytes, leftBytes, leftFiles } = limits();
  if (size > maxBytes) {
    const detail = "The file is larger than you may hand in.";
    return { code: "upload_too_large", detail, isFinal: true };
  }
  if (size > leftBytes || leftFiles < 1) {
    return { code: "quota_exceeded", detail: "The file does not fit into what is left of your quota." };
  }
  return null;
}
