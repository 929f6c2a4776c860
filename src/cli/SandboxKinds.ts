/** How sandboxes are printed. */
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import { Sandbox } from "../domain/Sandbox.js"
import { type Kind, time } from "./Printer.js"

export const sandboxes: Kind<Sandbox> = {
  kind: "Sandbox",
  document: (sandbox) => Schema.encodeSync(Sandbox)(sandbox),
  name: ({ id }) => id,
  columns: [
    ["name", ({ name }) => name],
    ["id", ({ id }) => id],
    ["state", ({ state }) => state],
    ["phase", ({ phase, state }) => (state === "provisioning" ? (phase?.name ?? "-") : "-")],
    ["profile", ({ profile }) => profile],
    ["created", ({ createdAt }) => time(createdAt)]
  ]
}

/** "in 3 d", "in 5 h", "in 12 min": rounded down, so that a sandbox never ends earlier than printed. */
const fromNow = (until: DateTime.Utc, now: DateTime.Utc): string => {
  const seconds = Math.floor((DateTime.toEpochMillis(until) - DateTime.toEpochMillis(now)) / 1000)
  if (seconds <= 0) return "now"
  if (seconds < 60) return `in ${seconds} s`
  if (seconds < 3600) return `in ${Math.floor(seconds / 60)} min`
  return seconds < 2 * 86_400 ? `in ${Math.floor(seconds / 3600)} h` : `in ${Math.floor(seconds / 86_400)} d`
}

/** Sandboxes in a list, with the time that they have left. */
export const sandboxesAt = (now: DateTime.Utc): Kind<Sandbox> => ({
  ...sandboxes,
  columns: [
    ...sandboxes.columns,
    ["expires", ({ expiresAt }) => (expiresAt === null ? "-" : fromNow(expiresAt, now))]
  ]
})

/** How long a sandbox, or its record, stays. */
const life = ({ expiresAt, state }: Sandbox): string => {
  const end = time(expiresAt)
  switch (state) {
    case "requested":
    case "provisioning":
      return "until its provision has ended"
    case "ready":
      return expiresAt === null ? "until it is destroyed" : `until ${end}, unless it is renewed or used`
    case "destroying":
      return "until what it has on its machine is removed"
    default:
      return expiresAt === null ? "its record is kept" : `its record and its log go after ${end}`
  }
}

/** A sandbox whose table has everything that a person may ask for. */
export const sandboxInFull: Kind<Sandbox> = {
  ...sandboxes,
  columns: [
    ...sandboxes.columns,
    ["mode", ({ extension, mode }) => `${mode} (${extension})`],
    ["host", ({ placement }) => placement.host],
    ["ready", ({ readyAt }) => time(readyAt)],
    ["ended", ({ endedAt }) => time(endedAt)],
    ["lives", life],
    ["artifacts", ({ artifacts }) => artifacts.map(({ path }) => path).join(", ") || "-"],
    ["log", ({ logPath }) => logPath ?? "-"],
    ["failure", ({ failure }) => (failure === null ? "-" : `${failure.reason}: ${failure.message}`)],
    ["hint", ({ failure }) => failure?.hint ?? "-"]
  ]
}
