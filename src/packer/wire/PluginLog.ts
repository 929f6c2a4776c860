/**
 * Reads what plugins write to Packer's own log (PACKER_LOG_PATH) and Packer does not print: messages of QEMU, results of
 * attempts to connect, and ports that cannot be used. Other lines are skipped: they repeat Packer's records, and with
 * them a guest's output.
 */
const line =
  /^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d (?!\d+,)\S* ?plugin: (?:\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d )?(.*)$/gm

/** The texts of plugins, in order. */
export const read = (log: string): ReadonlyArray<string> =>
  [...log.matchAll(line)].map(([, text = ""]) => text)

const last = <A>(texts: ReadonlyArray<string>, find: (text: string) => A | undefined): A | undefined => {
  for (const text of texts.toReversed()) {
    const found = find(text)
    if (found !== undefined) return found
  }
  return undefined
}

const group = (pattern: RegExp) => (text: string) => pattern.exec(text)?.[1]

/** The last message of QEMU, without its name. */
export const qemuMessage = (texts: ReadonlyArray<string>): string | undefined =>
  last(texts, group(/^Qemu std(?:err|out): (?:qemu\S*: )?(?!warning: )(.*\S)/))

/** Why the guest's SSH server refused the login, if it did. */
export const loginRefusal = (texts: ReadonlyArray<string>): string | undefined =>
  last(texts, group(/SSH handshake err: (.*unable to authenticate.*|.*no common algorithm.*)/))

/** Whether a key was typed. Builders also print that they type a boot command if it is empty. */
export const hasTyped = (texts: ReadonlyArray<string>): boolean =>
  texts.some((text) => /^(?:Sending char|Special code) '/.test(text))

/** The port that Packer waits for, if the last text of a plugin says so. */
export const awaitedPort = (texts: ReadonlyArray<string>): string | undefined =>
  group(/^Retryable error: (?:port (?=\d+ cannot)|Port (?=\d+ is file locked))(\d+) /)(texts.at(-1) ?? "")

/** QEMU's messages that have a failure reason of their own. */
const wordings = [
  [
    "kvm-unusable",
    /Could not access KVM kernel module|failed to initialize kvm|kvm version too old|KVM is not supported|-accel kvm/i
  ],
  ["out-of-memory", /cannot (?:set up guest memory|allocate memory)/i],
  ["disk-full", /no space left on device/i],
  [
    "port-taken",
    /could not set up host forwarding rule|failed to find an available port|address already in use/i
  ]
] as const

/** The failure reason of a message of QEMU, if it has one. */
export const reasonOfQemu = (message: string): (typeof wordings)[number][0] | undefined =>
  wordings.find(([, pattern]) => pattern.test(message))?.[0]
