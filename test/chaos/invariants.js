/** What holds whatever happened, once the user has done what users do next. */
import { createHash } from "node:crypto"
import { existsSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { secret } from "./builds.js"
import { pause } from "./lab.js"

const ended = ["ready", "failed", "cancelled"]
const endings = ["ready", "failed", "cancelled"]

/** What is allowed to stay in the state directory: what is kept for good, and what SQLite has beside its file. */
const mayStay = [
  /^sandboxer\.db(-wal|-shm)?$/,
  /^(logs|artifacts|jobs|prepared|cache)$/,
  /^logs\/[0-9a-f]{12}\.\d+\.log$/,
  /^artifacts\/[^/]+(\/[0-9a-f]{12}(\/[^./][^/]*)?)?$/,
  /^(prepared|cache)\//
]

/**
 * @param {import("./lab.js").Lab} lab
 * @param {{ readonly ends: ReadonlyArray<string>, readonly countsRuns: boolean }} expected
 * @returns {Promise<{ readonly state: string, readonly broken: ReadonlyArray<string> }>}
 */
export const check = async (lab, { countsRuns, ends }) => {
  /** @type {Array<string>} */
  const broken = []
  const list = await lab.run("list", "--all", "-o", "json")
  if (list.exitCode !== 0)
    return { state: "unreadable", broken: [`list ends ${list.exitCode}: ${list.stderr}`] }
  const [sandbox, ...others] = JSON.parse(list.stdout).items
  if (others.length > 0) broken.push(`${others.length} sandboxes too many`)
  const state = sandbox?.state ?? "never recorded"
  if (sandbox !== undefined) {
    const told = sandbox.failure === null ? "" : ` (${sandbox.failure.reason}: ${sandbox.failure.message})`
    if (!ended.includes(state)) broken.push(`it has not ended: ${state}`)
    else if (!ends.includes(state)) broken.push(`it is ${state}${told}, not ${ends.join(" or ")}`)

    const events = JSON.parse((await lab.run("events", sandbox.id, "-o", "json")).stdout).items
    const numbers = events.map((/** @type {{ seq: number }} */ { seq }) => seq)
    if (numbers.some((/** @type {number} */ seq, /** @type {number} */ index) => seq !== index + 1)) {
      broken.push(`events are not numbered one by one: ${numbers.join(" ")}`)
    }
    const ends_ = events.filter((/** @type {{ type: string }} */ { type }) => endings.includes(type))
    if (ends_.length !== 1) broken.push(`it ended ${ends_.length} times`)
    const phases = events.flatMap((/** @type {{ type: string, message: string }} */ { message, type }) =>
      type === "phase" ? [message] : []
    )
    if (new Set(phases).size !== phases.length) broken.push(`phases twice: ${phases.join(" ")}`)
    if (sandbox.phase !== null && state === "provisioning") broken.push("it is in a phase still")

    for (const { path, sha256 } of sandbox.artifacts) {
      if (!existsSync(path)) broken.push(`${path} is not there`)
      else if (createHash("sha256").update(readFileSync(path)).digest("hex") !== sha256)
        broken.push(`${path} is not what was made`)
    }
    if (state === "ready" && sandbox.artifacts.length !== 1) broken.push("ready, without its artifact")
    if (state !== "ready" && sandbox.artifacts.length > 0) broken.push(`${state}, with artifacts`)
    const verified = await lab.run("artifact", "verify")
    if (verified.exitCode !== 0) broken.push(`artifact verify ends ${verified.exitCode}`)
    const runs = join(lab.folder, "runs")
    const times = existsSync(runs) ? readFileSync(runs, "utf8").split("\n").length - 1 : 0
    if (countsRuns && times > 1) broken.push(`it was built ${times} times`)
    if (countsRuns && state === "ready" && times !== 1) broken.push("ready, and never built")
  }

  // A process that was just killed, or has just done its work, takes a moment to go.
  for (let looks = 0; looks < 50 && lab.jobProcesses().length + lab.supervisors().length > 0; looks++)
    await pause(0.1)
  for (const { command } of lab.jobProcesses()) broken.push(`a process is left: ${command.slice(0, 100)}`)
  for (const { command } of lab.supervisors()) broken.push(`a supervisor is left: ${command.slice(-30)}`)
  const held = lab.database(
    (database) => database.prepare("SELECT sandbox_id FROM leases WHERE holder <> 'null'").all().length,
    0
  )
  if (held > 0) broken.push(`${held} leases are held`)
  const integrity = lab.database((database) => database.pragma("integrity_check", { simple: true }), "ok")
  if (integrity !== "ok") broken.push(`the database is damaged: ${integrity}`)
  const artifactFiles = lab
    .files()
    .filter((name) => name.startsWith("artifacts/") && statSync(join(lab.home, name)).isFile())
  if (state !== "ready" && artifactFiles.length > 0) broken.push(`left: ${artifactFiles.join(", ")}`)
  for (const name of lab.files()) {
    if (!mayStay.some((pattern) => pattern.test(name))) broken.push(`left: ${name}`)
  }
  for (const name of lab.files()) {
    const file = join(lab.home, name)
    if (statSync(file).isFile() && readFileSync(file).includes(secret))
      broken.push(`the secret is in ${name}`)
  }
  if (lab.printed.includes(secret)) broken.push("the secret was printed")
  return { state, broken }
}
