import { splitBuild } from "../wire/PhaseLines.js"
import * as PluginLog from "../wire/PluginLog.js"
import * as Wire from "../wire/Wire.js"
import {
  type Cause,
  causes,
  diskHint,
  type Found,
  gist,
  loginHint,
  noBuilds,
  portHint,
  provisionerHint,
  type Reason
} from "./Causes.js"

/** Why Packer failed. Both texts are a single line; `message` quotes Packer without redaction. */
export interface Diagnosis {
  readonly reason: Reason
  readonly message: string
  /** The next thing to do. */
  readonly hint: string
}

/**
 * Finds out why `packer` ended with `exitCode`, from the lines that it printed, machine-readable or not; `undefined` if
 * it did what it was asked for. `template` is the template's path as the user knows it, `folder` Packer's working
 * directory, `builds` are the names of the template's builds, and `plugins` the texts of plugins in Packer's own log.
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
    said: words.map(({ text }) => text).join("\n")
  }
  if (exitCode === 0) return nothingBuilt(known)
  const finding = fromCauses(words, known) ?? fromProvisioner(records, words) ?? unknown(words, exitCode)
  const build = words.find((said) => said.build !== undefined)?.build
  const { build: failed, ...refined } = refine(
    finding,
    linesOf(records, build, known.builds),
    options?.plugins ?? []
  )
  return failed === undefined ? refined : { ...refined, message: `${failed}: ${refined.message}` }
}

/** A diagnosis, and the build whose error it is; a build's name is put before the message last. */
interface Finding extends Diagnosis {
  readonly build: string | undefined
}

type Known = Omit<Found, "match">

/** The lines that carry a build's prefix: the guest's output is among them. */
const linesOf = (
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

/** Makes a finding more precise by the output of the build, and by what plugins wrote to Packer's own log. */
const refine = (finding: Finding, lines: ReadonlyArray<string>, plugins: ReadonlyArray<string>): Finding => {
  const { message, reason } = finding
  const qemu = PluginLog.qemuMessage(plugins)
  const refusal = PluginLog.loginRefusal(plugins)
  if (reason === "connect-timeout" && refusal !== undefined) {
    return {
      ...finding,
      reason: "connect-refused",
      message: `The guest answered, but refused the login: ${refusal}`,
      hint: loginHint
    }
  }
  if (reason === "connect-timeout" && PluginLog.hasTyped(plugins)) {
    return {
      ...finding,
      reason: "boot-failed",
      message: `${message.replace(/ in time$/, "")} after the boot command`,
      hint: "Check the guest's console: boot_wait may be too short, or the boot command may be for another boot loader."
    }
  }
  if (reason === "provisioner-failed") {
    const name = lines.flatMap((line) => provisioner.exec(line)?.[1] ?? []).at(-1)
    return name === undefined
      ? finding
      : { ...finding, message: `${message} (${name.replace(/\S*\/packer-shell\d+$/, "inline")})` }
  }
  if (reason === "build-failed" && message === "Build was halted." && qemu !== undefined) {
    const cause = PluginLog.reasonOfQemu(qemu) ?? "build-failed"
    return { ...finding, reason: cause, message: `QEMU did not start: ${qemu}`, hint: hintOfQemu[cause] }
  }
  return finding
}

const hintOfQemu = {
  "kvm-unusable":
    '`sandboxer doctor` shows what is wrong with KVM; to do without it, set accelerator = "tcg" in the template.',
  "out-of-memory": "Lower the machine's memory in the template, or free some on the host.",
  "disk-full": diskHint,
  "port-taken": portHint,
  "build-failed": "Check what the template sets for QEMU: qemuargs, machine_type, cpu_model."
} as const

/** A text of Packer's own; `build` if it is the error of that build. */
interface Words {
  readonly text: string
  readonly error: boolean
  readonly build?: string
}

// Packer's own texts that look like this begin with a line feed.
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

const fromCauses = (words: ReadonlyArray<Words>, known: Known): Finding | undefined => {
  const errors = words.filter(({ error }) => error)
  for (const cause of causes) {
    for (const { build, text } of beforeBuilds.includes(cause.reason) ? errors.filter(ofNoBuild) : errors) {
      const match = cause.pattern.exec(text)
      if (match !== null) return { ...diagnosisOf(cause, { ...known, match }), build }
    }
  }
  return undefined
}

/** Reasons that Packer gives before it starts any build, so that they are never in a build's own error. */
const beforeBuilds: ReadonlyArray<Reason> = ["plugin-missing", "template-invalid"]

const ofNoBuild = ({ build }: Words): boolean => build === undefined

const diagnosisOf = (cause: Cause, found: Found): Diagnosis => ({
  reason: cause.reason,
  message: cause.message(found),
  hint: cause.hint(found)
})

/** A provisioner that fails with a text of its own is recognised by what Packer says before it cleans up or aborts. */
const fromProvisioner = (
  records: ReadonlyArray<Wire.WireRecord>,
  words: ReadonlyArray<Words>
): Finding | undefined => {
  const failed = words.find(({ build }) => build !== undefined)
  const starts = [
    `==> ${failed?.build}: Provisioning step had errors: `,
    `==> ${failed?.build}: Step "StepProvision" failed, aborting`
  ]
  return failed !== undefined &&
    records.some((record) => record._tag === "Ui" && starts.some((start) => record.text.startsWith(start)))
    ? { reason: "provisioner-failed", message: gist(failed.text), hint: provisionerHint, build: failed.build }
    : undefined
}

const unknown = (words: ReadonlyArray<Words>, exitCode: number): Finding => {
  const errors = words.filter(({ error, text }) => error && text.trim() !== "")
  const last = errors.find(({ build }) => build !== undefined) ?? errors.at(-1)
  return {
    reason: "build-failed",
    message:
      last !== undefined
        ? gist(last.text)
        : exitCode > 128
          ? `Packer was killed by signal ${exitCode - 128}`
          : `Packer ended with exit code ${exitCode}`,
    hint: "See the end of the log.",
    build: last?.build
  }
}

const nothingBuilt = (known: Known): Diagnosis | undefined => {
  const match = /^==> Builds finished but no artifacts were created\./m.exec(known.said)
  return match === null || /^Build '.+' finished after /m.test(known.said)
    ? undefined
    : diagnosisOf(noBuilds, { ...known, match })
}
