/** What the stand-ins share: a folder, named by STANDIN, through which a test tells them what to do. */
import { appendFileSync, existsSync, readdirSync, readFileSync, renameSync, watch } from "node:fs"
import { join } from "node:path"

/**
 * @typedef {object} Settings
 * @property {"1.6.6" | "1.16.0"} version Which Packer it speaks as
 * @property {Readonly<Record<string, string>>} [replays] The transcript of a verb, where it is not the usual one
 * @property {Readonly<Record<string, { text: string, exitCode: number }>>} [says] What a verb does instead of any
 * @property {boolean} [ignoresTerm]
 * @property {string} [crashes] Its build panics behind these words, and leaves them in crash.log
 * @property {string} [linksTo] The files that it tells of are links to this one
 * @property {boolean} [makesNothing] It tells of its files, and there are none
 * @property {string} [machine] What its machine's program is called; it has no other name by itself
 * @property {boolean} [fills] Its image grows until the disk is full
 * @property {boolean} [leavesOrphans] Its machine runs on, and so does a process in a session of its own
 */

const folder = process.env.STANDIN ?? ""

/** @type {Settings} */
export const settings = JSON.parse(readFileSync(join(folder, "settings.json"), "utf8"))

const program = process.argv[1]?.replace(/^.*\/|\.js$/g, "") ?? ""

/**
 * What the guest prints once it is connected to: bytes, in pieces.
 * @returns {ReadonlyArray<Buffer>}
 */
export const guest = () =>
  readdirSync(join(folder, "guest"))
    .sort()
    .map((name) => readFileSync(join(folder, "guest", name)))

/**
 * Writes down that something was started.
 * @param {ReadonlyArray<string>} args
 * @param {number} [pid]
 */
export const record = (args, pid = process.pid) =>
  appendFileSync(join(folder, "calls"), `${JSON.stringify({ program, args, pid })}\n`)

/**
 * A place where a test may hold the stand-in, once: by a file in holds/ whose name is a part of the place's. It lies
 * in held/ until the test takes it away.
 * @param {string} place
 */
export const point = async (place) => {
  for (const name of readdirSync(join(folder, "holds"))) {
    if (!place.includes(decodeURIComponent(name))) continue
    const held = join(folder, "held", name)
    try {
      renameSync(join(folder, "holds", name), held)
    } catch {
      // Another stand-in was held by it.
      continue
    }
    await /** @type {Promise<void>} */ (
      new Promise((resolve) => {
        const watcher = watch(join(folder, "held"), () => look())
        const look = () => {
          if (existsSync(held)) return
          watcher.close()
          resolve()
        }
        look()
      })
    )
  }
}
