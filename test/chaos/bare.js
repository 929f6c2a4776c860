/**
 * The same faults against `packer build` alone, as people run it: what is left running, what is left lying, and whether
 * the image comes all the same.
 */
import { spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { secret, template } from "./builds.js"
import { pause } from "./lab.js"
import { kill, processesWith } from "./processes.js"

/**
 * @typedef {object} Bare
 * @property {number} pid
 * @property {() => ReadonlyArray<import("./processes.js").Process>} processes
 */

/** Of the faults of faults.js those that there is something to strike for: there is no supervisor, and no database. */
/** @type {Readonly<Record<string, (bare: Bare) => void>>} */
export const bareFaults = {
  "kill -9 of the command": ({ pid }) => kill(pid, "SIGKILL"),
  "closed terminal (SIGHUP to the command's group)": ({ pid }) => kill(-pid, "SIGHUP"),
  "kill -9 of the group": ({ pid }) => kill(-pid, "SIGKILL"),
  "kill -9 of the machine, or of what Packer runs": ({ processes }) => {
    for (const { command, pid } of processes()) {
      if (/packer-shell|plugin/.test(command)) kill(pid, "SIGKILL")
    }
  },
  "SIGTERM to the command": ({ pid }) => kill(pid, "SIGTERM"),
  "SIGINT to the command, twice": ({ pid }) => {
    kill(-pid, "SIGINT")
    kill(-pid, "SIGINT")
  }
}

/**
 * @param {(bare: Bare) => void} strike
 * @param {number} at seconds behind its start
 * @returns {Promise<{ readonly made: boolean, readonly orphans: number, readonly left: number }>}
 */
export const playBare = async (strike, at) => {
  const folder = mkdtempSync(join(tmpdir(), "sandboxer-chaos-bare-"))
  const tmp = join(folder, "tmp")
  mkdirSync(tmp)
  const file = join(folder, "quick.json")
  writeFileSync(file, JSON.stringify(template(join(folder, "runs"))))
  const cookie = `CHAOS_BARE=${folder}`
  const processes = () => processesWith(cookie)
  try {
    const variables = { vm_name: "quick", output_directory: join(folder, "output"), token: secret }
    const child = spawn(
      "packer",
      ["build", ...Object.entries(variables).flatMap(([name, value]) => ["-var", `${name}=${value}`]), file],
      {
        cwd: folder,
        detached: true,
        stdio: "ignore",
        env: { ...process.env, CHAOS_BARE: folder, TMPDIR: tmp, CHECKPOINT_DISABLE: "1" }
      }
    )
    const ended = new Promise((resolve) => child.once("exit", resolve))
    await pause(at)
    strike({ pid: child.pid ?? 0, processes })
    const exitCode = await ended
    await pause(0.5)
    const output = join(folder, "output")
    const images = existsSync(output) ? readdirSync(output).length : 0
    const made = exitCode === 0 && images > 0
    return {
      made,
      orphans: processes().length,
      left: readdirSync(tmp).length + (made ? 0 : images)
    }
  } finally {
    for (const { pid } of processes()) kill(pid, "SIGKILL")
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
}
