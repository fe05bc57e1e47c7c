const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** Return `bytes` as the server writes them: see `binary_size` in the template tags. */
export function binarySize(bytes) {
  let power = 0;
  while (bytes >= 1024 && power < UNITS.length - 1) {
    bytes /= 1024;
    power += 1;
  }
  const rounded = Number(bytes.toFixed(bytes >= 100 ? 0 : 1));
  return `${rounded} ${UNITS[power]}`;
}
