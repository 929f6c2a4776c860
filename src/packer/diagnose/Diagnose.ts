import { splitBuild } from "../wire/PhaseLines.js"
import * as PluginLog from "../wire/PluginLog.js"
import * as Wire from "../wire/Wire.js"
import {
  type Cause,
  causes,
  diskHint,
  type Found,
  gist,
  noBuilds,
  portHint,
  provisionerHint,
  type Reason
} from "./Causes.js"

/** Why Packer failed. Both texts are of one line; Packer's words in `message` are not redacted. */
export interface Diagnosis {
  readonly reason: Reason
  readonly message: string
  /** The next thing to do. */
  readonly hint: string
}

/**
 * Why `packer` ended with `exitCode`, from the lines that it printed, machine-readable or not; `undefined` where it
 * did what it was told. `template` is its path as the user knows it, `folder` Packer's working
 * directory, and `builds` are the names of its builds; `plugins` is what these wrote to Packer's own log.
 *
 * Only Packer's own words count: its error records, and texts without a build's prefix, which a guest's always have.
 */
export const diagnose = (
  lines: ReadonlyArray<string>,
  exitCode: number,
  options?: {
    readonly template?: string
    readonly folder?: string
    readonly builds?: ReadonlyArray<string>
    readonly plugins?: ReadonlyArray<string>
  }
): Diagnosis | undefined => {
  const records = lines.map((line) => Wire.parse(line))
  const words = wordsOf(records)
  const known: Known = {
    template: options?.template ?? "TEMPLATE",
    folder: options?.folder ?? "its working directory",
    builds: options?.builds ?? [],
    said: allOf(words)
  }
  if (exitCode === 0) return nothingRun(known)
  const found = fromCauses(words, known) ?? provisionerOf(records, words) ?? unknown(words, exitCode)
  const build = words.find((said) => said.build !== undefined)?.build
  return toldMore(found, sayingsOf(records, build, known.builds), options?.plugins ?? [])
}

/** What a build says with its prefix; a guest's lines are among it. */
const sayingsOf = (
  records: ReadonlyArray<Wire.WireRecord>,
  build: string | undefined,
  builds: ReadonlyArray<string>
): ReadonlyArray<string> =>
  records.flatMap((record) => {
    if (record._tag !== "Ui") return []
    const said = splitBuild(record.text, builds)
    return said.build !== undefined && said.build === build ? said.lines : []
  })

const provisioner =
  /^(?:Provisioning with |Running local )((?:shell script|powershell script|[A-Z]\w+|\w+).*?)(?:\.\.\.)?$/

/** What the build said before it failed, and what its plugin wrote to the log, tell some failures apart. */
const toldMore = (
  found: Diagnosis,
  sayings: ReadonlyArray<string>,
  plugins: ReadonlyArray<string>
): Diagnosis => {
  const qemu = PluginLog.qemuSaid(plugins)
  const refusal = PluginLog.refusal(plugins)
  if (found.reason === "connect-timeout" && refusal !== undefined) {
    return {
      reason: "connect-refused",
      message: `${found.message.replace(/The guest did not.*$/, "")}The guest answered, and did not let Packer in: ${refusal}`,
      hint: "Check the user, password and key in the template against those that the guest is installed with."
    }
  }
  if (found.reason === "connect-timeout" && PluginLog.typed(plugins)) {
    return {
      reason: "boot-failed",
      message: found.message.replace(
        /did not answer by (\w+) in time$/,
        "never answered by $1 after the boot command"
      ),
      hint: "See on its console where the boot command went: boot_wait may be too short, or the boot loader another one."
    }
  }
  if (found.reason === "provisioner-failed") {
    const name = sayings.flatMap((line) => provisioner.exec(line)?.[1] ?? []).at(-1)
    return name === undefined
      ? found
      : { ...found, message: `${found.message} (${name.replace(/\S*\/packer-shell\d+$/, "inline")})` }
  }
  if (found.reason === "build-failed" && /Build was halted\.$/.test(found.message) && qemu !== undefined) {
    const reason = PluginLog.reasonOfQemu(qemu) ?? "build-failed"
    return {
      reason,
      message: found.message.replace(/Build was halted\.$/, `QEMU did not start: ${qemu}`),
      hint: hintOfQemu[reason]
    }
  }
  return found
}

const hintOfQemu = {
  "kvm-unusable":
    '`sandboxer doctor` says what KVM lacks here; without it: accelerator = "tcg" in the template.',
  "out-of-memory": "Lower the machine's memory in the template, or free some here.",
  "disk-full": diskHint,
  "port-taken": portHint,
  "build-failed": "Check what the template gives QEMU: qemuargs, machine_type, cpu_model."
} as const

type Known = Omit<Found, "match">

/** Something that Packer said; `build` where it is that build's error. */
interface Words {
  readonly text: string
  readonly error: boolean
  readonly build?: string
}

// Packer's own texts that look so begin with a line feed.
const buildPrefix = /^(?:==>| {3}) /

const wordsOf = (records: ReadonlyArray<Wire.WireRecord>): ReadonlyArray<Words> => {
  const plain = records
    .flatMap((record) => (record._tag === "Text" && !buildPrefix.test(record.text) ? [record.text] : []))
    .join("\n")
  const said = records.flatMap((record): ReadonlyArray<Words> => {
    if (record._tag === "ErrorRecord") {
      return [{ text: record.text, error: true, build: record.target }]
    }
    if (record._tag !== "Ui" || buildPrefix.test(record.text)) {
      return []
    }
    const errored = /^Build '(.+?)' errored after .+?: ([\s\S]*)$/.exec(record.text)
    return errored?.[1] === undefined
      ? [{ text: record.text, error: record.kind === "error" }]
      : [{ text: errored[2] ?? "", error: true, build: errored[1] }]
  })
  return plain.trim() === "" ? said : [...said, { text: plain, error: true }]
}

const allOf = (words: ReadonlyArray<Words>): string => words.map(({ text }) => text).join("\n")

const inBuild = (build: string | undefined, message: string): string =>
  build === undefined ? message : `${build}: ${message}`

const fromCauses = (words: ReadonlyArray<Words>, known: Known): Diagnosis | undefined => {
  const errors = words.filter(({ error }) => error)
  for (const cause of causes) {
    for (const { text, build } of beforeBuilds.includes(cause.reason) ? errors.filter(ofNoBuild) : errors) {
      const match = cause.pattern.exec(text)
      if (match !== null) {
        return diagnosis(cause, { ...known, match }, build)
      }
    }
  }
  return undefined
}

const beforeBuilds: ReadonlyArray<Reason> = ["plugin-missing", "template-invalid"]

const ofNoBuild = ({ build }: Words): boolean => build === undefined

const diagnosis = (cause: Cause, found: Found, build?: string): Diagnosis => ({
  reason: cause.reason,
  message: inBuild(build, cause.message(found)),
  hint: cause.hint(found)
})

/** A provisioner that fails in words of its own: what Packer says before it cleans up or aborts tells that. */
const provisionerOf = (
  records: ReadonlyArray<Wire.WireRecord>,
  words: ReadonlyArray<Words>
): Diagnosis | undefined => {
  const failed = words.find(({ build }) => build !== undefined)
  const sayings = [
    `==> ${failed?.build}: Provisioning step had errors: `,
    `==> ${failed?.build}: Step "StepProvision" failed, aborting`
  ]
  return failed !== undefined &&
    records.some((record) => record._tag === "Ui" && sayings.some((saying) => record.text.startsWith(saying)))
    ? {
        reason: "provisioner-failed",
        message: inBuild(failed.build, gist(failed.text)),
        hint: provisionerHint
      }
    : undefined
}

const unknown = (words: ReadonlyArray<Words>, exitCode: number): Diagnosis => {
  const errors = words.filter(({ error, text }) => error && text.trim() !== "")
  const last = errors.find(({ build }) => build !== undefined) ?? errors.at(-1)
  return {
    reason: "build-failed",
    message:
      last !== undefined
        ? inBuild(last.build, gist(last.text))
        : exitCode > 128
          ? `Packer was killed by signal ${exitCode - 128}`
          : `Packer ended with exit code ${exitCode}`,
    hint: "The end of the log says what led to it."
  }
}

const nothingRun = (known: Known): Diagnosis | undefined => {
  const match = /^==> Builds finished but no artifacts were created\./m.exec(known.said)
  return match === null || /^Build '.+' finished after /m.test(known.said)
    ? undefined
    : diagnosis(noBuilds, { ...known, match })
}
