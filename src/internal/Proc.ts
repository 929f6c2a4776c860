/** Processes of this machine, as /proc shows them. */
import { readdirSync, readFileSync } from "node:fs"

export interface ProcessInfo {
  readonly pid: number
  /** Of its program, the first 15 bytes. */
  readonly name: string
  readonly group: number
  /** Clock ticks since boot: with the pid it tells a process from a later one. */
  readonly startTime: number
  /** A zombie has ended, and waits for its parent to be told. */
  readonly zombie: boolean
}

/** A process that is there; `undefined` where it is not, or not ours to see. */
export const processInfo = (pid: number): ProcessInfo | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    // The name before the last ")" may have blanks and parentheses in it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return {
      pid,
      name: stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")")),
      zombie: fields[0] === "Z" || fields[0] === "X",
      group: Number(fields[2]),
      startTime: Number(fields[19])
    }
  } catch {
    return undefined
  }
}

const environment = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1")
  } catch {
    return ""
  }
}

/**
 * Living processes (zombies aside) that have `name=value` in their environment, or are in one of their groups; also
 * those in a group that such a process led, whose number is known.
 */
export const processesWith = (name: string, value: string, led?: number): ReadonlyArray<ProcessInfo> => {
  const entry = `\0${name}=${Buffer.from(value).toString("latin1")}\0`
  const living = readdirSync("/proc")
    .filter((entryName) => /^\d+$/.test(entryName))
    .flatMap((pid) => processInfo(Number(pid)) ?? [])
    .filter((info) => !info.zombie)
  const marked = living.filter((info) => `\0${environment(info.pid)}`.includes(entry))
  const groups = new Set(marked.map((info) => info.group))
  // A leader without the mark is another one's: the number was given anew.
  if (led !== undefined && !living.some((info) => info.pid === led && !marked.includes(info))) groups.add(led)
  groups.delete(processInfo(process.pid)?.group ?? 0)
  return living.filter((info) => groups.has(info.group) || marked.includes(info))
}

/** The values that a variable has in the environments of living processes (zombies aside), each once. */
export const valuesOf = (name: string): ReadonlyArray<string> => {
  const pids = readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))
  const living = pids.filter((pid) => processInfo(Number(pid))?.zombie === false)
  const values = living.flatMap((pid) =>
    environment(Number(pid))
      .split("\0")
      .filter((entry) => entry.startsWith(`${name}=`))
      .map((entry) => Buffer.from(entry.slice(name.length + 1), "latin1").toString())
  )
  return [...new Set(values)].sort()
}

/** The boot of this machine: another one after each start. */
export const bootId = (): string => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()

/** Seconds since this machine was started, those that it slept too. */
export const uptimeSeconds = (): number => Number(readFileSync("/proc/uptime", "utf8").split(" ")[0])
