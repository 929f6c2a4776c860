/** Programs that machines need, and where they come from. */

/** The Debian package of each program. */
const packages: Readonly<Record<string, string>> = {
  flock: "util-linux",
  setsid: "util-linux",
  sh: "dash",
  sha256sum: "coreutils",
  ssh: "openssh-client",
  "qemu-img": "qemu-utils",
  "qemu-system-x86_64": "qemu-system-x86",
  git: "git",
  make: "make",
  packer: "packer",
  rsync: "rsync",
  tar: "tar"
}

const packageOf = (program: string): string | undefined =>
  Object.hasOwn(packages, program) ? packages[program] : undefined

/** How to install missing programs: the command, or how to find the package of a program that is not in the list. */
export const installHint = (programs: ReadonlyArray<string>, where = "there"): string => {
  const known = [...new Set(programs.flatMap((one) => packageOf(one) ?? []))]
  const others = programs.filter((one) => packageOf(one) === undefined)
  return [
    known.length === 0
      ? `install it ${where}`
      : `install it ${where}: \`sudo apt-get install ${known.join(" ")}\` (Debian)`,
    ...(others.length === 0 ? [] : [`on Debian \`apt-file search bin/${others[0]}\` names the package`])
  ].join("; ")
}

/** `setsid, rsync are not on the PATH of kvm1`. */
export const notOnPath = (programs: ReadonlyArray<string>, host: string): string =>
  `${programs.join(", ")} ${programs.length === 1 ? "is" : "are"} not on the PATH of ${host}`

/** A shell script that prints those of its arguments that are not on the PATH, one a line. */
export const lookFor = 'for one; do command -v -- "$one" >/dev/null 2>&1 || printf "%s\\n" "$one"; done'
