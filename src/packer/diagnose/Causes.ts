/**
 * The texts of Packer, from 1.6.6 on, for what can go wrong, and what to do about each. Packer wraps texts at 80 columns,
 * so a space in one may be a line feed.
 */
import type { FailureReason } from "../../domain/Failure.js"

/** The reasons that Packer's output can give. */
export type Reason = Extract<
  FailureReason,
  | "plugin-missing"
  | "template-invalid"
  | "output-exists"
  | "port-taken"
  | "boot-failed"
  | "no-scp"
  | "shutdown-timeout"
  | "disk-full"
  | "out-of-memory"
  | "kvm-unusable"
  | "packer-crashed"
  | "connect-timeout"
  | "connect-refused"
  | "provisioner-failed"
  | "checksum-mismatch"
  | "download-failed"
  | "build-failed"
>

/** What a message or hint is made from: the match (`input` is the whole text), and the context. */
export interface Found {
  readonly match: RegExpExecArray
  /** The template's path as the user knows it. */
  readonly template: string
  /** Packer's working directory. */
  readonly folder: string
  /** The names of the template's builds, as far as they are known. */
  readonly builds: ReadonlyArray<string>
  /** All of Packer's own texts. */
  readonly said: string
}

export interface Cause {
  readonly reason: Reason
  readonly pattern: RegExp
  readonly message: (found: Found) => string
  readonly hint: (found: Found) => string
}

const oneLine = (text: string): string => text.trim().replace(/\s+/g, " ")

/** The points of a list of errors, or the first paragraph. */
export const gist = (text: string): string => {
  const points = [...text.matchAll(/^[ \t]*\* (.+(?:\n(?![ \t]*\* )[^\n]+)*)/gm)].map(([, point]) =>
    oneLine(point ?? "")
  )
  return points.length > 0 ? points.join("; ") : oneLine(text.trim().split(/\n\s*\n/)[0] ?? "")
}

/** The plugin that most likely provides a component: its type up to the first hyphen, as in Packer's own advice. */
const pluginOf = (type: string | undefined): string => `github.com/hashicorp/${type?.split("-")[0]}`

export const diskHint = "Free some space there (see `df -h`); a profile can require free space: freeDisk."
export const portTaken = (port: string | undefined): string =>
  port === undefined
    ? "All ports that the template allows are in use"
    : `Port ${port} is in use, and the template allows no other free port`
export const portHint =
  "Give the template a range of ports (host_port_min and host_port_max, vnc_port_min), or end the program that uses it: `ss -ltnp`."
export const loginHint = "Compare the user, password and key in the template with those of the guest."
export const provisionerHint = "See the provisioner's output in the log."
const correctType = "Correct its name in the template, or install the plugin that provides it."
const chooseBuilds = "Check only and except, and that the template has builds."

/** Packer exits with 0 and builds nothing: 1.6 does so if `only` and `except` leave no build. */
export const noBuilds: Cause = {
  reason: "template-invalid",
  pattern: /Error: No builds to run/,
  message: () => "There is no build to run",
  hint: ({ builds, said }) => {
    const names = /Possible build names: \[([^\]]*)\]/.exec(said)?.[1]?.split(/\s+/) ?? builds
    return names.length === 0
      ? chooseBuilds
      : `Check only and except; the template's builds are ${names.join(", ")}.`
  }
}

/** Tried in this order, each with all of Packer's errors. */
export const causes: ReadonlyArray<Cause> = [
  {
    reason: "build-failed",
    pattern: /Cancelling build after receiving (.+)|Build was cancelled\.|Cleanly cancelled builds/,
    message: ({ match: [, signal] }) => `Packer was stopped${signal === undefined ? "" : ` (${signal})`}`,
    hint: () => "Run it again. Nothing is kept of a build that was stopped."
  },
  {
    reason: "plugin-missing",
    pattern: /Error: Missing plugins\s/,
    message: ({ match }) => {
      const plugins = [...match.input.matchAll(/^\* (.+)$/gm)].map(([, plugin]) => plugin)
      return `Packer plugins are not installed: ${plugins.join(", ")}`
    },
    hint: ({ template }) => `Run: packer init ${template}`
  },
  {
    reason: "plugin-missing",
    pattern: /Failed getting the "(.+?)" plugin/,
    message: ({ match: [, plugin] }) => `The Packer plugin ${plugin} cannot be downloaded`,
    hint: ({ match: [, plugin] }) => `Without a network: packer plugins install --path BINARY ${plugin}`
  },
  {
    reason: "template-invalid",
    pattern:
      /Unknown (source|provisioner|post-processor|data source) type "?([\w-]+)"?[\s\S]*?Did\s+you\s+mean\s+to\s+use\s+"(.+?)"/,
    message: ({ match: [, component, type] }) => `Packer does not know the ${component} ${type}`,
    hint: ({ match: [, , , similar] }) => `Did you mean ${similar}?`
  },
  {
    // Up to 1.9, whose builders are built in.
    reason: "plugin-missing",
    pattern: /Unknown (source|provisioner|post-processor) type "?([\w-]+)"?[\s\S]*?known\s+\S+:\s+\[/,
    message: ({ match: [, component, type] }) => `Packer does not know the ${component} ${type}`,
    hint: () => correctType
  },
  {
    reason: "plugin-missing",
    pattern: /error initializing (\S+) '(.+?)': Unknown /,
    message: ({ match: [, component, type] }) => `Packer does not know the ${component} ${type}`,
    hint: () => correctType
  },
  {
    reason: "plugin-missing",
    pattern:
      /The\s+(builder|source|provisioner|post-processor|data\s*source)\s+(\S+)\s+is\s+unknown\s+by\s+Packer/,
    message: ({ match: [, component, type] }) =>
      `The Packer plugin that provides the ${component} ${type} is not installed`,
    hint: ({ match: [, , type] }) => `Run: packer plugins install ${pluginOf(type)}`
  },
  {
    reason: "output-exists",
    pattern: /Output directory (?:'(.+?)' already exists|exists: (\S+))/,
    message: ({ match: [, quoted, bare] }) => `The output directory ${quoted ?? bare} already exists`,
    hint: () => "Move it away, or replace it: -i force=true."
  },
  {
    // Not for scripts and uploads, which fill the guest's disk.
    reason: "disk-full",
    pattern:
      /^(?![\s\S]*(?:scp:|sftp|upload))[\s\S]*(?:no space left on device|disk quota exceeded|VERR_DISK_FULL)/i,
    message: ({ match: { input } }) => `The disk is full: ${gist(input)}`,
    hint: () => diskHint
  },
  {
    reason: "port-taken",
    pattern:
      /[Pp]ort (\d+) (?:cannot be opened|is file locked)|Error finding (?:available )?(?:VNC |HTTP )?port: no/,
    message: ({ match: [, port] }) => portTaken(port),
    hint: () => portHint
  },
  {
    reason: "checksum-mismatch",
    pattern: /Checksums did not match for (.+?)\.?\s+Expected: (\S+)\s+Got: (\S+)/,
    message: ({ match: [, file, expected, got] }) => `${file} has the checksum ${got}, not ${expected}`,
    hint: () => "Correct iso_checksum in the template, or the file at iso_url."
  },
  {
    reason: "download-failed",
    pattern: /error downloading (.+?): \[?([\s\S]+?)\]?$/,
    message: ({ match: [, what, why] }) => `The ${what} cannot be downloaded: ${oneLine(why ?? "")}`,
    hint: () => "Check iso_url and the network; a proxy is taken from HTTP_PROXY and HTTPS_PROXY."
  },
  {
    reason: "connect-timeout",
    pattern: /Timeout waiting for (SSH|WinRM)\./,
    message: ({ match: [, protocol] }) => `The guest did not answer over ${protocol} in time`,
    hint: ({ match: [, protocol] }) =>
      `Check on the guest's console whether it boots and starts ${protocol}; if it is only slow, raise ${protocol?.toLowerCase()}_timeout.`
  },
  {
    reason: "connect-refused",
    pattern:
      /authentication error when trying to connect|ssh: handshake failed|Error waiting for (?:SSH|WinRM): /,
    message: ({ match: { input } }) =>
      `The guest refused the connection: ${oneLine(/original error: ([\s\S]+)/.exec(input)?.[1] ?? input)}`,
    hint: () => loginHint
  },
  {
    reason: "no-scp",
    pattern: /SCP failed to start|sftpSession error|subsystem request failed/,
    message: () => "The guest accepts no files: scp is missing or does not work",
    hint: () =>
      'Install scp in the guest (openssh-client), or have Packer use sftp: ssh_file_transfer_method = "sftp".'
  },
  {
    reason: "shutdown-timeout",
    pattern: /Timeout while waiting for machine to shut ?down/i,
    message: () => "The guest did not shut down in time",
    hint: () =>
      "Check whether shutdown_command waits for a password; if the guest is only slow, raise shutdown_timeout."
  },
  {
    reason: "kvm-unusable",
    pattern: /(VERR_(?:VMX|SVM|VM)_\w+|(?:VT-x|AMD-V) is (?:disabled|not available|being used)[^\n]*)/,
    message: ({ match: [, why] }) => `VirtualBox cannot use the processor's virtualisation: ${why}`,
    hint: () => "Enable it in the firmware, and stop other hypervisors (KVM) that use it."
  },
  {
    reason: "build-failed",
    pattern: /Post-processor failed: ([\s\S]+)/,
    message: ({ match: [, why] }) => `A post-processor failed: ${gist(why ?? "")}`,
    hint: () => "See its output in the log."
  },
  {
    reason: "provisioner-failed",
    pattern: /Script exited with non-zero exit status: (\d+)/,
    message: ({ match: [, status] }) => `A provisioner's script ended with exit code ${status}`,
    hint: () => provisionerHint
  },
  {
    reason: "template-invalid",
    pattern: /Unset variable "(.+?)"|required variable not set: (\S+)/,
    message: ({ match: [, hcl2, json] }) => `The template's variable ${hcl2 ?? json} has no value`,
    hint: ({ match: [, hcl2, json] }) =>
      `Give it one (variables.${hcl2 ?? json}), or a default in the template.`
  },
  {
    reason: "template-invalid",
    pattern: /A "(.+?)" variable was passed in the command\s+line but was not found/,
    message: ({ match: [, name] }) => `The template has no variable ${name}`,
    hint: ({ match: [, name] }) => `Leave ${name} out, or declare it in the template.`
  },
  noBuilds,
  {
    reason: "template-invalid",
    pattern: /Blocks of type "required_plugins" are not expected here/,
    message: () => "The template has a required_plugins block, which this Packer does not know",
    hint: () => "Use Packer 1.7.0 or newer, or move the block to a file that older versions do not read."
  },
  {
    reason: "template-invalid",
    pattern: /^(?:"(.+)": (?:stat|open)|open) (.+?): (.+)/m,
    message: ({ match: [, template, file, why] }) => `${template ?? file}: ${why}`,
    hint: () => "Check that it exists and can be read."
  },
  {
    reason: "template-invalid",
    pattern: /Error parsing JSON: (.+)\nAt line (\d+), column (\d+)/,
    message: ({ match: [, why, line, column], template }) => `${template}:${line}:${column}: ${why}`,
    hint: () => "Correct the template; the name of an HCL2 template ends in .pkr.hcl."
  },
  {
    reason: "template-invalid",
    pattern: /^Failed to parse (?:template: )?([\s\S]+)/m,
    message: ({ match: [, why], template }) => `${template}: ${gist(why ?? "")}`,
    hint: () => "Correct the template."
  },
  {
    reason: "template-invalid",
    // A summary, where it is with the lines there, and details.
    pattern:
      /(?<![^\n])Error: (.*)\n(?:\n {2}on (.*?) ?line (\d+).*\n(?: .*\n)*)?([\s\S]*?)(?=\n\n(?:Error|Warning): |$)/,
    message: ({ match: [, what = "", file = "", line, details = ""], template }) => {
      const where = file === "" ? template : `${file}:${line}`
      return [where, oneLine(what), gist(details)].filter((part) => part !== "").join(": ")
    },
    hint: ({ match: [, , , , details = ""] }) =>
      /type\s+constraint:\s+(?:list|set|map|object|tuple)\b/.test(details)
        ? "Give it as a list or a map in an inputs file (--inputs-file FILE); -i gives a string."
        : "Correct the template, or the values of its variables."
  },
  {
    reason: "packer-crashed",
    pattern: /^panic: .*|PACKER CRASH/m,
    message: ({ match: [text] }) => `Packer crashed: ${text}`,
    hint: ({ folder }) => `See the panic in the log, and the crash.log in ${folder}.`
  },
  {
    reason: "build-failed",
    pattern: /^flag provided but not defined: .+|^Usage: packer .+/m,
    message: ({ match: [text] }) => `This Packer does not accept its command line (${text})`,
    hint: () => "Use a newer Packer."
  }
]
