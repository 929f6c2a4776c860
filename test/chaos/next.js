/** What a user does after a fault. */
import { existsSync, readdirSync, utimesSync } from "node:fs"
import { join } from "node:path"

/**
 * The result: the allowed states, if they differ from those of the fault, and what went wrong.
 * @typedef {object} Came
 * @property {ReadonlyArray<string>} [ends]
 * @property {ReadonlyArray<string>} [broken]
 */

/**
 * Runs a command that must exit with 0.
 * @param {import("./lab.js").Lab} lab
 * @param {ReadonlyArray<string>} words
 */
const mustEnd = async (lab, ...words) => {
  const { exitCode, stderr } = await lab.run(...words)
  return exitCode === 0 ? [] : [`${words.join(" ")} ends ${exitCode}: ${stderr.trim().slice(-500)}`]
}

/** @type {Readonly<Record<string, (lab: import("./lab.js").Lab, id: string) => Promise<Came>>>} */
export const next = {
  wait: async (lab, id) => {
    await lab.run("wait", id)
    return {}
  },
  "doctor --fix": async (lab, id) => {
    const broken = await mustEnd(lab, "doctor", "--fix")
    await lab.run("wait", id)
    return { broken }
  },
  "wait, retry": async (lab, id) => {
    await lab.run("wait", id)
    const { state } = JSON.parse((await lab.run("show", id, "-o", "json")).stdout)
    if (state !== "failed" && state !== "cancelled") return {}
    return { ends: ["ready"], broken: await mustEnd(lab, "retry", id) }
  },
  "destroy --force": async (lab, id) => ({
    ends: ["destroyed"],
    broken: await mustEnd(lab, "destroy", "--force", id)
  })
}

/**
 * If nothing was recorded, `create` may have been killed between storing a secret and the record. `reap` removes such a secret
 * once it is older than a minute.
 * @param {import("./lab.js").Lab} lab
 * @returns {Promise<Came>}
 */
export const nothingRecorded = async (lab) => {
  const jobs = join(lab.home, "jobs")
  const folders = existsSync(jobs) ? readdirSync(jobs).map((name) => join(jobs, name)) : []
  if (folders.length === 0) return {}
  const earlier = new Date(Date.now() - 120_000)
  for (const folder of folders) {
    for (const name of readdirSync(folder)) utimesSync(join(folder, name), earlier, earlier)
    utimesSync(folder, earlier, earlier)
  }
  return { broken: await mustEnd(lab, "reap") }
}
