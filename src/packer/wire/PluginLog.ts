/**
 * What plugins write to Packer's own log (PACKER_LOG_PATH) and Packer does not print: what QEMU said, what became of
 * attempts to connect, which port cannot be had. Only lines of plugins are read: what a guest prints is in this log
 * too, as Packer's records.
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

/** The last words of QEMU, whose name is taken off. */
export const qemuSaid = (texts: ReadonlyArray<string>): string | undefined =>
  last(texts, group(/^Qemu std(?:err|out): (?:qemu\S*: )?(?!warning: )(.*\S)/))

/** Why the guest's SSH server did not let us in, where that is so. */
export const refusal = (texts: ReadonlyArray<string>): string | undefined =>
  last(texts, group(/SSH handshake err: (.*unable to authenticate.*|.*no common algorithm.*)/))

/** Whether a key was typed: builders say that they type the boot command also where it is empty. */
export const typed = (texts: ReadonlyArray<string>): boolean =>
  texts.some((text) => /^(?:Sending char|Special code) '/.test(text))

/** The port that Packer waits for, where that is the last that a plugin said. */
export const portWaitedFor = (texts: ReadonlyArray<string>): string | undefined =>
  group(/^Retryable error: (?:port (?=\d+ cannot)|Port (?=\d+ is file locked))(\d+) /)(texts.at(-1) ?? "")

/** QEMU's words for what has a reason of its own. */
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

/** The reason that QEMU's own words give, where they give one. */
export const reasonOfQemu = (said: string): (typeof wordings)[number][0] | undefined =>
  wordings.find(([, pattern]) => pattern.test(said))?.[0]
