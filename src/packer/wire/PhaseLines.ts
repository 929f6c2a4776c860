import type { PhaseName } from "../../domain/Phase.js"

/**
 * The lines with which a build enters a phase, without the build's prefix: the texts of the qemu and virtualbox builders in
 * all versions from 1.6.6 on. A guest can print such lines too.
 */
const table: ReadonlyArray<readonly [PhaseName, ReadonlyArray<RegExp>]> = [
  [
    "create",
    [
      /^Creating (?:temporary .+ SSH key for instance|ephemeral key pair for SSH communicator)/,
      /^Creating (?:floppy disk|CD disk|virtual machine|hard drive|required virtual machine disks)/,
      /^Creating forwarded port mapping for communicator/,
      /^Starting HTTP server on port \d+/,
      /^(?:Copying|Resizing) hard drive\.\.\./,
      /^Found port for communicator/,
      /^Importing VM: /
    ]
  ],
  [
    "boot",
    [
      /^Starting VM, booting (?:from CD-ROM|disk image)/,
      /^Starting the virtual machine\.\.\./,
      /^Waiting .+ for boot\.\.\./,
      /^Typing the boot commands?\b/
    ]
  ],
  [
    "connect",
    [
      /^Using \S+ communicator to connect: /,
      /^Waiting for (?:SSH|WinRM) to become available\.\.\./,
      /^Connected to (?:SSH|WinRM)!/,
      /^Pausing .+ before connecting\.\.\./
    ]
  ],
  [
    "provision",
    [
      /^Provisioning with /,
      /^Running local shell script: /,
      /^Uploading .+ => /,
      /^Executing Ansible: /,
      /^Pausing .+ before the next provisioner\.\.\./,
      /^Provisioner failed with .+, retrying with \d+ trie\(s\) left/
    ]
  ],
  [
    "shutdown",
    [
      /^(?:Gracefully halting|Halting the) virtual machine\.\.\./,
      // One version of the builder misspells it.
      /^Shutt?ing down the virtual machine via ACPI power button\.\.\./,
      /^Automatic shutdown disabled\. /
    ]
  ],
  [
    "export",
    [
      /^Converting hard drive\.\.\./,
      /^(?:Preparing to export|Exporting virtual|Skipping export of virtual) machine\.\.\./
    ]
  ],
  ["post-process", [/^Running post-processor: /]],
  // Last, as `… => …` also matches uploads.
  ["fetch", [/^Retrieving /, /^Trying /, /^\S.* => \S/]]
]

/** The phase that a build enters with this line, which has no prefix; `undefined` if it enters none. */
export const phaseOf = (text: string): PhaseName | undefined =>
  table.find(([, patterns]) => patterns.some((pattern) => pattern.test(text)))?.[0]

/** The lines of a ui text, and the build that they belong to. */
interface BuildText {
  readonly build?: string
  /** The type of the post-processor that printed them. */
  readonly postProcessor?: string
  readonly lines: ReadonlyArray<string>
}

/**
 * Removes the prefix `==> build: `, `    build: ` or `==> build (post-processor): ` from each line of a ui text.
 *
 * If `builds` has names, only these are builds, and names that `inspect` cannot know: an HCL2 source that the build block
 * renames (`demo.null.other` next to `demo.null.n`), and any name if a JSON template computes one. The first line decides.
 * A later line without the prefix (a guest's backslash and `n`, decoded) stays as it is.
 */
export const splitBuild = (text: string, builds: ReadonlyArray<string>): BuildText => {
  const lines = text.split("\n")
  const [first = ""] = lines
  const prefix = knownPrefix(first, builds) ?? otherPrefix(first, builds)
  if (prefix === undefined) {
    return { lines }
  }
  // Packer trims the spaces at the end of a text, also the one after the prefix of an empty line.
  const bare = prefix.text
  return {
    build: prefix.build,
    ...(prefix.postProcessor === undefined ? {} : { postProcessor: prefix.postProcessor }),
    lines: lines.map((line) =>
      line.startsWith(`${bare} `) ? line.slice(bare.length + 1) : line === bare ? "" : line
    )
  }
}

interface Prefix {
  readonly build: string
  readonly postProcessor?: string
  /** Up to and including the colon. */
  readonly text: string
}

const knownPrefix = (line: string, builds: ReadonlyArray<string>): Prefix | undefined => {
  const name = /^(?:==>| {3}) /.test(line) ? line.slice(4) : ""
  return builds
    .filter((build) => build !== "" && name.startsWith(build))
    .sort((a, b) => b.length - a.length)
    .flatMap((build) => {
      const after = /^(?: \(([^()]+)\))?:(?= |$)/.exec(name.slice(build.length))
      return after === null ? [] : [prefixOf(line, build, after[1], 4 + build.length + after[0].length)]
    })[0]
}

const otherPrefix = (line: string, builds: ReadonlyArray<string>): Prefix | undefined => {
  const match = /^(?:==>| {3}) (\S.*?)(?: \(([^()]+)\))?:(?= |$)/.exec(line)
  const build = match?.[1]
  return match !== null && build !== undefined && canBe(build, builds)
    ? prefixOf(line, build, match[2], match[0].length)
    : undefined
}

const prefixOf = (
  line: string,
  build: string,
  postProcessor: string | undefined,
  length: number
): Prefix => ({
  build,
  ...(postProcessor === undefined ? {} : { postProcessor }),
  text: line.slice(0, length)
})

const canBe = (name: string, builds: ReadonlyArray<string>): boolean =>
  builds.length === 0 || builds.some((build) => build.includes("{{") || isSibling(name, build))

const isSibling = (name: string, build: string): boolean => {
  const source = build.slice(0, build.lastIndexOf(".") + 1)
  return source !== "" && name.startsWith(source) && /^\S+$/.test(name.slice(source.length))
}
