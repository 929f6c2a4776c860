/**
 * The same faults against plain `packer build`: counts the processes and files that are left, and whether the image is made.
 */
import { execFileSync, spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { secret, template } from "./builds.js"
import { pause, root } from "./lab.js"
import { kill, processesWith } from "./processes.js"

/**
 * @typedef {object} Bare
 * @property {number} pid
 * @property {() => ReadonlyArray<import("./processes.js").Process>} processes
 */

/** The faults of faults.js that apply without a supervisor and a database. */
/** @type {Readonly<Record<string, (bare: Bare) => void>>} */
export const bareFaults = {
  "kill -9 of the command": ({ pid }) => kill(pid, "SIGKILL"),
  "closed terminal (SIGHUP to the command's group)": ({ pid }) => kill(-pid, "SIGHUP"),
  "kill -9 of the group": ({ pid }) => kill(-pid, "SIGKILL"),
  "kill -9 of the machine, or of what Packer runs": ({ processes }) => {
    for (const { command, pid } of processes()) {
      if (/packer-shell|plugin|^qemu-system/.test(command)) kill(pid, "SIGKILL")
    }
  },
  "SIGTERM to the command": ({ pid }) => kill(pid, "SIGTERM"),
  "SIGINT to the command, twice": ({ pid }) => {
    kill(-pid, "SIGINT")
    kill(-pid, "SIGINT")
  }
}

const tinyLinux = join(root, "profiles/tiny-linux")

/**
 * The disk that the machine starts with, made once.
 * @type {string | undefined}
 */
let base
const baseImage = () => {
  if (base === undefined) {
    const folder = mkdtempSync(join(tmpdir(), "sandboxer-chaos-base-"))
    process.once("exit", () => rmSync(folder, { recursive: true, force: true }))
    execFileSync(join(tinyLinux, "make-base.sh"), { cwd: folder, stdio: "ignore" })
    base = join(folder, "base.qcow2")
  }
  return base
}

/**
 * What Packer builds, in a folder of its own, and when the fault strikes: seconds after the start.
 * @typedef {object} BareBuild
 * @property {readonly [from: number, to: number]} between
 * @property {(folder: string) => { readonly file: string, readonly variables: Readonly<Record<string, string>> }} of
 */

/** @type {Readonly<Partial<Record<import("./builds.js").Kind, BareBuild>>>} */
export const bareBuilds = {
  quick: {
    between: [0.3, 2.3],
    of: (folder) => {
      const file = join(folder, "quick.json")
      writeFileSync(file, JSON.stringify(template(join(folder, "runs"))))
      return { file, variables: { vm_name: "quick", token: secret } }
    }
  },
  machine: {
    between: [1, 12],
    of: () => ({
      file: join(tinyLinux, "tiny-linux.json"),
      variables: { vm_name: "machine", base_image: baseImage() }
    })
  }
}

/**
 * @param {(bare: Bare) => void} strike
 * @param {BareBuild} build
 * @param {number} at seconds after the start
 * @returns {Promise<{ readonly made: boolean, readonly orphans: number, readonly left: number }>}
 */
export const playBare = async (strike, build, at) => {
  const folder = mkdtempSync(join(tmpdir(), "sandboxer-chaos-bare-"))
  const tmp = join(folder, "tmp")
  mkdirSync(tmp)
  const output = join(folder, "output")
  const { file, variables } = build.of(folder)
  const cookie = `CHAOS_BARE=${folder}`
  const processes = () => processesWith(cookie)
  try {
    const given = Object.entries({ ...variables, output_directory: output })
    const child = spawn(
      "packer",
      ["build", ...given.flatMap(([name, value]) => ["-var", `${name}=${value}`]), file],
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
