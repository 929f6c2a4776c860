/**
 * A stand-in for Packer: it replays what a real one printed (test/data/transcripts), with the names that it is given
 * and the time that it is, makes the files that it tells of, and treats signals and children as Packer does.
 */
import { spawn } from "node:child_process"
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { basename, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { guest, point, record, settings } from "./common.js"

const args = process.argv.slice(2)
const verb = args[0] ?? ""
const template = args.at(-1) ?? ""
const isJson = template.endsWith(".json") && !template.endsWith(".pkr.json")
const transcripts = fileURLToPath(new URL(`../../data/transcripts/${settings.version}/`, import.meta.url))

/** @param {string | Uint8Array} bytes */
const print = (bytes) => writeFileSync(1, bytes)

/** @type {(value: unknown) => value is Record<string, unknown>} */
const isRecord = (value) => typeof value === "object" && value !== null

/** @returns {Record<string, unknown>} */
const declared = () => {
  const { variables } = isJson ? JSON.parse(readFileSync(template, "utf8")) : { variables: {} }
  return isRecord(variables) ? variables : {}
}

const variables = () => {
  const files = args.flatMap((arg) => (arg.startsWith("-var-file=") ? [arg.slice(10)] : []))
  return Object.assign(declared(), ...files.map((file) => JSON.parse(readFileSync(file, "utf8"))))
}

/** @param {string} name */
const transcript = (name) => ({
  lines: readFileSync(join(transcripts, `${name}.out`), "utf8")
    .trimEnd()
    .split("\n"),
  exitCode: Number(readFileSync(join(transcripts, `${name}.exit`), "utf8"))
})

/** @param {string} line */
const now = (line) => line.replace(/^\d+,/, `${Math.floor(Date.now() / 1000)},`)

/** @param {string} name */
const replay = (name) => {
  const { exitCode, lines } = transcript(name)
  for (const line of lines) print(`${now(line)}\n`)
  process.exit(exitCode)
}

/** It tells of the variables that the test's template has beyond those of the transcript's. */
const inspect = () => {
  const { lines } = transcript(isJson ? "inspect-json" : "inspect-hcl2")
  for (const line of lines) print(`${now(line)}\n`)
  for (const [name, value] of Object.entries(declared())) {
    if (lines.some((line) => line.includes(`,template-variable,${name},`))) continue
    print(`${now("0,")},template-variable,${name},${value ?? ""},${value === null ? 1 : 0}\n`)
  }
}

const build = async () => {
  const { output_directory: output = "output-tiny", vm_name: name = "tiny" } = variables()
  const { exitCode, lines } = transcript(
    existsSync(output) && !args.includes("-force")
      ? "qemu-output-exists"
      : (settings.replays?.build ?? "qemu-ok")
  )
  /** @param {string} line */
  const renamed = (line) =>
    now(line)
      .replaceAll("output-tiny/tiny", `${output}/${name}`)
      .replaceAll("output-tiny", output)
      .replaceAll(/\bout\//g, `${output}/`)

  /** @type {import("node:child_process").ChildProcess | undefined} */
  let machine
  /** @param {boolean} detached */
  const start = (detached) => {
    const child = spawn(settings.machine ?? "sleep", ["600"], { stdio: "ignore", detached })
    record(["machine"], child.pid)
    return child
  }
  const makeFiles = () => {
    for (const line of lines) {
      const file = /,artifact,\d+,file,\d+,(.+)$/.exec(renamed(line))?.[1]
      if (file === undefined || settings.makesNothing) continue
      mkdirSync(dirname(file), { recursive: true })
      if (settings.linksTo === undefined) writeFileSync(file, `${basename(file)} as ${name} has it\n`)
      else {
        rmSync(file, { force: true })
        symlinkSync(settings.linksTo, file)
      }
    }
  }

  /** @param {string} line */
  const say = async (line) => {
    if (line.includes("Starting VM")) {
      mkdirSync(output, { recursive: true })
      writeFileSync(join(output, name), "half of an image")
      machine = start(false)
      if (settings.fills) for (;;) appendFileSync(join(output, name), Buffer.alloc(64 * 1024))
      if (settings.leavesOrphans) start(true)
    }
    if (/ virtual machine\.\.\.|Deleting output directory/.test(line) && !settings.leavesOrphans)
      machine?.kill()
    if (line.includes("Converting hard drive") && settings.makesNothing) rmSync(output, { recursive: true })
    if (line.includes("Deleting output directory")) rmSync(output, { recursive: true, force: true })
    if (line.includes(",artifact-count,")) makeFiles()
    print(`${renamed(line)}\n`)
    if (line.includes("Provisioning with") && settings.crashes !== undefined) {
      writeFileSync("crash.log", settings.crashes)
      print(settings.crashes)
      process.exit(2)
    }
    await point(line)
  }

  let told = false
  process.on("SIGINT", () => undefined)
  process.on("SIGTERM", async () => {
    if (settings.ignoresTerm || told) return
    told = true
    machine?.kill()
    const cancelled = transcript("qemu-cancelled")
    const from = cancelled.lines.findIndex((line) => line.includes("Cancelling build after receiving"))
    for (const line of cancelled.lines.slice(from)) await say(line)
    process.exit(cancelled.exitCode)
  })

  for (const line of lines) {
    // From here on the last words are said.
    if (told) return
    await say(line)
    if (!line.includes("Connected to SSH!")) continue
    for (const [index, piece] of guest().entries()) {
      print(piece)
      await point(`guest ${index + 1}`)
    }
  }
  await point("packer build ends")
  if (!told) process.exit(exitCode)
}

record(args)
await point(`packer ${verb} begins`)

const said = settings.says?.[verb]
if (said !== undefined) {
  print(said.text)
  process.exit(said.exitCode)
} else if (settings.replays?.[verb] !== undefined && verb !== "build") {
  replay(settings.replays[verb])
} else {
  switch (verb) {
    case "version":
      replay("version")
      break
    case "init":
      if (settings.version === "1.6.6") {
        print("Usage: packer [--version] [--help] <command> [<args>]\n")
        process.exit(127)
      }
      break
    case "inspect":
      inspect()
      break
    case "validate":
      replay(existsSync(variables().output_directory) ? "qemu-output-exists-validate" : "validate-ok")
      break
    case "build":
      await build()
      break
    default:
      process.exit(127)
  }
}
