// Moments by the clock of the device, for whoever has chosen that. The server writes them in UTC.

const two = (number) => String(number).padStart(2, "0");

/** Return a moment as people read it here, with its distance from UTC. */
export function localTime(date) {
  const minutes = -date.getTimezoneOffset();
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
  return `${day} ${time} UTC${minutes < 0 ? "-" : "+"}${two(hours)}:${two(rest)}`;
}

export function refreshMoments() {
  if (document.body.dataset.clock !== "local") return;
  for (const element of document.querySelectorAll("time[datetime]")) {
    const text = localTime(new Date(element.dateTime));
    if ("moment" in element.dataset) element.textContent = text;
    else element.title = text;
  }
}
