/** The invariants that hold after any fault, once the user has reacted to it. */
import { createHash } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { waitFor } from "../support/patience.js"
import { secret } from "./builds.js"
import { below, isFile } from "./lab.js"

const endings = ["ready", "failed", "cancelled"]

/** Files that may stay in the state directory: permanent ones, and auxiliary files of SQLite and ssh. */
const mayStay = [
  /^sandboxer\.db(-wal|-shm)?$/,
  /^(logs|artifacts|jobs|prepared|cache|ssh)$/,
  /^logs\/[0-9a-f]{12}\.\d+\.log$/,
  /^artifacts\/[^/]+(\/[0-9a-f]{12}(\/[^./][^/]*)?)?$/,
  /^(prepared|cache)\//,
  /^known_hosts$/,
  /^ssh\/[0-9a-f]{12}(\.json)?$/
]
/** The same for our folder on an attached machine: the workspace stays. */
const mayStayThere = [/^(jobs|work|placed)$/, /^work\/[0-9a-f]{16}-project(\/|$)/]

/**
 * @typedef {object} Expected
 * @property {ReadonlyArray<string>} ends the states that are allowed after the fault
 * @property {ReadonlyArray<string> | undefined} reasons the allowed failure reasons; any if undefined
 * @property {import("./builds.js").Build} build
 * @property {boolean} losesOutput
 */

/** @typedef {{ readonly seq: number, readonly type: string, readonly message: string }} Event */

/**
 * Events grouped by attempt; an attempt's last event is its end.
 * @param {ReadonlyArray<Event>} events
 */
const byAttempt = (events) => {
  /** @type {Array<Array<Event>>} */
  const attempts = [[]]
  for (const event of events) {
    attempts.at(-1)?.push(event)
    if (endings.includes(event.type)) attempts.push([])
  }
  return attempts
}

/**
 * @param {import("./lab.js").Lab} lab
 * @param {any} sandbox
 * @param {Expected} expected
 */
const ofSandbox = async (lab, sandbox, { build, ends, losesOutput, reasons }) => {
  /** @type {Array<string>} */
  const broken = []
  const { failure, state } = sandbox
  const told = failure === null ? "" : ` (${failure.reason}: ${failure.message})`
  if (!ends.includes(state)) broken.push(`it is ${state}${told}, not ${ends.join(" or ")}`)
  else if (state === "failed" && reasons?.includes(failure.reason) === false) broken.push(`it failed${told}`)

  /** @type {ReadonlyArray<Event>} */
  const events = JSON.parse((await lab.run("events", sandbox.id, "-o", "json")).stdout).items
  const numbers = events.map(({ seq }) => seq)
  if (numbers.some((seq, index) => seq !== index + 1)) {
    broken.push(`events are not numbered one by one: ${numbers.join(" ")}`)
  }
  const ended = events.filter(({ type }) => endings.includes(type))
  if (ended.length !== sandbox.attempt) {
    broken.push(`${sandbox.attempt} attempts ended ${ended.length} times`)
  }
  for (const attempt of byAttempt(events)) {
    const phases = attempt.flatMap(({ message, type }) => (type === "phase" ? [message] : []))
    if (new Set(phases).size !== phases.length) broken.push(`phases twice: ${phases.join(" ")}`)
  }

  // A destroyed sandbox keeps its artifacts.
  const made = ended.at(-1)?.type === "ready"
  for (const { path, sha256 } of sandbox.artifacts) {
    if (!existsSync(path)) broken.push(`${path} is not there`)
    else if (createHash("sha256").update(readFileSync(path)).digest("hex") !== sha256)
      broken.push(`${path} is not what was made`)
  }
  const names = sandbox.artifacts.map((/** @type {{ path: string }} */ { path }) => path.split("/").at(-1))
  // A failed command leaves a receipt, too.
  const results = made ? build.results : names.filter((/** @type {string} */ name) => name === "receipt.json")
  if (names.sort().join() !== results.join()) {
    broken.push(`${made ? "made" : state}, with ${names.join(" and ") || "no artifact"}`)
  }
  const files = lab
    .files()
    .filter((name) => name.startsWith("artifacts/") && isFile(join(lab.home, name)))
    .filter(
      (name) =>
        !results.includes(
          name
            .split("/")
            .at(-1)
            ?.replace(/\.sha256$/, "")
        )
    )
  if (files.length > 0) broken.push(`left: ${files.join(", ")}`)
  const verified = await lab.run("artifact", "verify")
  if (verified.exitCode !== 0) broken.push(`artifact verify ends ${verified.exitCode}: ${verified.stderr}`)

  if (build.runs !== undefined) {
    const times = existsSync(build.runs) ? readFileSync(build.runs, "utf8").split("\n").length - 1 : 0
    if (times > sandbox.attempt) broken.push(`it was run ${times} times in ${sandbox.attempt} attempts`)
    if (made && times === 0) broken.push("made, and never run")
  }
  if (!losesOutput) {
    const log = await lab.run("logs", sandbox.id)
    const lines = [...log.stdout.matchAll(/\bline (\d+)\b/g)].map(([, number]) => Number(number))
    if (lines.some((line, index) => line !== index)) broken.push(`lines of the log: ${lines.join(" ")}`)
    if (made && lines.length !== build.lines) broken.push(`${lines.length} lines, not ${build.lines}`)
  }
  return broken
}

/**
 * What still runs, and which leases and claims are held.
 * @param {import("./lab.js").Lab} lab
 */
const ofProcesses = async (lab) => {
  const areGone = () => lab.jobProcesses().length + lab.supervisors().length === 0
  // A process that was just killed, or has just finished, takes a moment to disappear. What stays is reported below.
  await waitFor("the end of all processes", areGone, 5000).catch(() => {})
  const count = (/** @type {string} */ query) =>
    Number(lab.database((database) => database.prepare(query).pluck().get(), 0))
  const leases = count("SELECT count(*) FROM leases WHERE holder <> 'null'")
  const claims = count("SELECT count(*) FROM claims")
  return [
    ...lab.jobProcesses().map(({ command }) => `a process is left: ${command.slice(0, 100)}`),
    ...lab.supervisors().map(({ command }) => `a supervisor is left: ${command.slice(-30)}`),
    ...(leases > 0 ? [`${leases} leases are held`] : []),
    ...(claims > 0 ? [`${claims} claims are held`] : [])
  ]
}

/**
 * The files in the state directory, and in our folder on the machine.
 * @param {import("./lab.js").Lab} lab
 */
const ofFiles = (lab) => {
  const there = lab.machine === undefined ? [] : below(join(lab.machine.home, ".sandboxer"))
  const integrity = lab.database((database) => database.pragma("integrity_check", { simple: true }), "ok")
  return [
    ...lab.files().flatMap((name) => (mayStay.some((one) => one.test(name)) ? [] : [`left: ${name}`])),
    ...there.flatMap((name) =>
      mayStayThere.some((one) => one.test(name)) ? [] : [`left on the machine: ${name}`]
    ),
    ...(integrity === "ok" ? [] : [`the database is damaged: ${integrity}`]),
    ...lab.files().flatMap((name) => {
      const file = join(lab.home, name)
      return isFile(file) && readFileSync(file).includes(secret) ? [`the secret is in ${name}`] : []
    }),
    ...(lab.printed.includes(secret) ? ["the secret was printed"] : [])
  ]
}

/**
 * The notes that the hub received.
 * @param {import("./lab.js").Lab} lab
 * @param {string} sandbox
 */
const ofHub = async (lab, sandbox) => {
  if (lab.hub === undefined) return []
  const { exitCode, stderr } = await lab.run("hub", "flush")
  if (exitCode !== 0) return [`hub flush ends ${exitCode}: ${stderr}`]
  const notes = lab.database(
    (database) =>
      database.prepare("SELECT id, state FROM outbox WHERE sandbox_id = ? ORDER BY position").all(sandbox),
    []
  )
  const rows = /** @type {ReadonlyArray<{ id: string, state: string }>} */ (notes)
  const waiting = rows.filter(({ state }) => state !== "delivered")
  const had = await lab.hub.notes(sandbox)
  const written = rows.map(({ id }) => id)
  return [
    ...(rows.length === 0 ? ["no note was written"] : []),
    ...waiting.map(({ id, state }) => `note ${id} is ${state}`),
    ...(had.join() === written.join() ? [] : [`the hub has ${had.join(" ")}, not ${written.join(" ")}`])
  ]
}

/**
 * @param {import("./lab.js").Lab} lab
 * @param {Expected} expected
 * @returns {Promise<{ readonly state: string, readonly broken: ReadonlyArray<string> }>}
 */
export const check = async (lab, expected) => {
  const list = await lab.run("list", "--all", "-o", "json")
  if (list.exitCode !== 0) {
    return { state: "unreadable", broken: [`list ends ${list.exitCode}: ${list.stderr}`] }
  }
  const [sandbox, ...others] = JSON.parse(list.stdout).items
  return {
    state: sandbox?.state ?? "never recorded",
    broken: [
      ...(others.length > 0 ? [`${others.length} sandboxes too many`] : []),
      ...(sandbox === undefined
        ? []
        : [...(await ofSandbox(lab, sandbox, expected)), ...(await ofHub(lab, sandbox.id))]),
      ...(await ofProcesses(lab)),
      ...ofFiles(lab)
    ]
  }
}
