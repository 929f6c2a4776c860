/**
 * Every interval and limit of sandboxer, with its default and the reason for it. Times are Durations; other limits say
 * their unit. `Poll` and `Interval` are pauses between two looks or two rounds of work, `Grace` is the time that something
 * may take by itself before it is killed or replaced, `Silence` is the time without a sign of life that means "stuck".
 *
 * `Timing` is a Reference: `yield* Timing` gives the defaults where nobody provides others, and adds no requirement.
 * Tests provide shorter ones. What a user sets (in a profile, on the command line) wins over the default here.
 *
 * Over 300 lines: it is one table, and one look shows which values depend on each other.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { PhaseName } from "../domain/Phase.js"

type ByPhase = Partial<Record<PhaseName, Duration.Duration>>

/** The values that apply where no others are provided. */
export const defaults = {
  /** Child processes of this program. */
  process: {
    /** From SIGTERM to SIGKILL. Programs that listen to SIGTERM end in milliseconds; a person who cancels waits. */
    killGrace: Duration.seconds(2),
    /** Bytes kept of each output. Enough for any answer that is parsed, and bounded whatever a program prints. */
    outputBytes: 1024 * 1024
  },

  /** Jobs on this machine and on hosts behind SSH. */
  jobs: {
    /** How often a Job's files are looked at on this machine: a look is one read, and its output should appear at once. */
    localPoll: Duration.millis(50),
    /** The same on a host behind SSH, where each look starts processes. */
    remotePoll: Duration.millis(100),
    /** How often a host behind SSH looks whether a Job that it starts has begun: it takes milliseconds. */
    claimPoll: Duration.millis(20),
    /** Number of silent polls after which the Job's processes are searched: that reads all of /proc. */
    pollsPerSearch: 20,
    /** How long a Job's wrapper may take to write down its process. It takes milliseconds, more on a busy machine. */
    startGrace: Duration.seconds(1),
    /** How long the wrapper may go on after its command has ended: it only writes the exit code. */
    wrapperGrace: Duration.seconds(1),
    /** How long killed processes may take to disappear: one that waits for a disk does so when the disk answers. */
    killWait: Duration.seconds(10),
    /** Bytes of a line before it is split: a guest may print without ever ending a line. */
    lineBytes: 64 * 1024,
    /** How long lines are collected before they are stored together: one commit per line would be too slow. */
    groupInterval: Duration.millis(100),
    /** Number of lines that are stored together at most, so that a group stays small in memory. */
    groupLines: 1000
  },

  /** Connections to hosts behind SSH. */
  ssh: {
    /** How long ssh may take to connect: a host that is up answers within a second or two, also from far away. */
    connectTimeout: Duration.seconds(10),
    /** How often ssh asks a silent server for an answer … */
    aliveInterval: Duration.seconds(5),
    /** … and how many answers may be missing: a dead link is noticed within 15 s, a short disturbance is survived. */
    aliveCount: 3,
    /** How long the shared connection stays open unused: the next command saves the handshake. */
    persist: Duration.seconds(60),
    /** The first pause before a lost connection is tried again; each further one is twice as long … */
    retryFirst: Duration.millis(250),
    /** … up to this: a host that was rebooted is used soon after it is up. */
    retryMax: Duration.seconds(10),
    /** How long a host that was reached before is waited for: a reboot with file system checks fits into it. */
    outage: Duration.minutes(10),
    /** How often a question is asked again whose connection broke while it was answered. */
    retries: 20,
    /** The pause before a Job whose connection broke is followed again. */
    followRetry: Duration.millis(100),
    /** How long an idle shell is kept for the next question: a server allows few sessions per connection. */
    shellIdle: Duration.millis(250)
  },

  /** The SQLite database. */
  database: {
    /** How long a statement waits for another process's lock. Transactions take milliseconds; a slow disk may sync for seconds. */
    lockWait: Duration.seconds(30),
    /** The first pause before it tries again: a lock is usually held for a few milliseconds … */
    retryFirst: Duration.millis(2),
    /** … and the longest: hundreds of processes that try more often would keep each other from the lock. */
    retryMax: Duration.millis(25)
  },

  /** Leases: of supervisors, of the sender of notes, and of `serve`. */
  lease: {
    /** How often a holder renews its lease: often enough that `supervision.silence` and `hub.senderSilence` span many renewals. */
    renewInterval: Duration.seconds(2),
    /** The most that the time between two looks at a heartbeat counts: an observer that was itself stopped saw nothing. */
    lookMax: Duration.seconds(5)
  },

  /** Supervisors and those who watch over them. */
  supervision: {
    /** A heartbeat that stands still for this long means a stuck supervisor, which is replaced. It is longer than the wait for a locked database. */
    silence: Duration.seconds(60),
    /** How often commands that wait for a provision check that it has a supervisor. */
    checkInterval: Duration.seconds(1),
    /** How long a supervisor may take to start before another one is started; it doubles with each start. A start takes 0.3 s here. */
    startGrace: Duration.seconds(3),
    /** Number of starts in a row without a lease before that is an error: another start would not help. */
    starts: 5,
    /** How often a supervisor looks whether it is to cancel: a cancel should feel immediate, and the query is cheap. */
    cancelPoll: Duration.millis(200),
    /** How often a supervisor that takes over tries to reach the host of running Jobs. */
    hostRetry: Duration.seconds(2),
    /** An outage shorter than this is not reported: ssh has just reconnected. */
    outageGrace: Duration.seconds(1),
    /** How often a provision in the queue looks whether it is next: the query is cheap, and a free slot costs money. */
    queuePoll: Duration.millis(200),
    /** How long a provision waits for a lock or a slot, unless `--lock-timeout` says otherwise (a contract of the CLI). */
    lockTimeout: Duration.minutes(10),
    /** How long what runs may take to end when it is cancelled: Packer deletes the machine and its files. */
    stopGrace: Duration.seconds(60),
    /** The same in phases that end more slowly: Packer waits up to five minutes for a guest to power off. */
    stopGraces: {
      shutdown: Duration.minutes(6),
      export: Duration.minutes(10),
      "post-process": Duration.minutes(3),
      package: Duration.minutes(2)
    } satisfies ByPhase as ByPhase,
    /** The pause before the first retry of a failed attempt, unless the profile says otherwise; it doubles each time. */
    retryBackoff: Duration.seconds(10)
  },

  /** What a provision reports. */
  reporting: {
    /** How often heartbeats, phase limits and silence are checked: limits in profiles are given in seconds. */
    checkInterval: Duration.seconds(1),
    /** How often a heartbeat event is written, unless the profile says otherwise. */
    heartbeat: Duration.seconds(30),
    /** How often a heartbeat is sent to the State Hub, unless the profile says otherwise. */
    hubHeartbeat: Duration.seconds(60),
    /** Number of events that may be written at once: the most that a real build reports within a moment … */
    eventBurst: 100,
    /** … and each minute from then on: a guest that prints without end must not fill the database. */
    eventsPerMinute: 60,
    /** How often the number of events that were left out is reported. */
    leftOutInterval: Duration.seconds(10),
    /** Number of output lines that a failure shows … */
    tailLines: 20,
    /** … and the characters of each: together they fit on a screen, and into a record. */
    tailLineLength: 1000
  },

  /** The manager of sandboxes. */
  sandboxes: {
    /** How often a command that follows a provision looks for new events. */
    followPoll: Duration.millis(100),
    /** How often the expiry of a sandbox in use is moved: a ttl is given in minutes or hours. */
    useInterval: Duration.seconds(30),
    /** Secrets without a record that are younger than this may belong to a `create` that is about to record them. */
    secretsGrace: Duration.seconds(60),
    /** How long `doctor --fix` waits for a supervisor that it started … */
    repairWait: Duration.seconds(15),
    /** … and how often it looks. */
    repairPoll: Duration.millis(100),
    /** How long the record and log of a destroyed sandbox are kept, unless the configuration says otherwise. */
    retention: Duration.days(30)
  },

  /** `sandboxer serve`. */
  serve: {
    /** How often provisions without a supervisor are looked for. */
    checkInterval: Duration.seconds(2),
    /** How often expired sandboxes are looked for: soon enough for a ttl in seconds. */
    reapInterval: Duration.seconds(5),
    /** The pause after a supervisor that could not be started: the cause seldom disappears at once. */
    retryPause: Duration.seconds(60)
  },

  /** Delivery of notes to the State Hub. */
  hub: {
    /** Number of notes in a request. */
    batch: 100,
    /** How often new notes are looked for while something runs. */
    interval: Duration.seconds(1),
    /** How often the end of another sender is looked for when a command is about to end. */
    busyPoll: Duration.millis(100),
    /** How long a hub may delay the end of a command (a contract of the State Hub's page). */
    endWait: Duration.seconds(5),
    /** How long a request may take in all. It is shorter than `endWait`, so that a slow hub's failure is recorded. */
    requestTimeout: Duration.seconds(4),
    /** How long an adapter without a limit of its own may take. */
    publishTimeout: Duration.seconds(30),
    /** A sender whose heartbeat stands still for this long is replaced. It is shorter than `flushTimeout`, so that `hub flush` can do it. */
    senderSilence: Duration.seconds(20),
    /** The first pause after a failure; it doubles each time … */
    backoffFirst: Duration.seconds(1),
    /** … up to this: notes arrive soon after a hub is back. */
    backoffMax: Duration.minutes(5),
    /** The pause after a refusal that a person must fix: each try may be one more entry in a log of refusals. */
    refusedPause: Duration.minutes(10),
    /** The longest `Retry-After` that is honoured, so that a wrong header does not stop delivery. */
    retryAfterMax: Duration.hours(1),
    /** Bytes read of a hub's answer to notes that it does not take: one line of it is shown … */
    answerBytes: 2048,
    /** … and how long it may take to arrive. */
    answerTimeout: Duration.millis(500),
    /** How long `hub flush` tries (a contract of the CLI). */
    flushTimeout: Duration.seconds(30)
  },

  /** `sandboxer hub serve`. */
  hubServer: {
    /** How long a request may take to arrive: slower clients would hold connections. */
    requestTimeout: Duration.seconds(30),
    /** How long open requests may take once the server ends. */
    closeGrace: Duration.seconds(5),
    /** How often connections without a request are closed then. */
    closePoll: Duration.millis(20),
    /** Number of connections. */
    connections: 1000,
    /** Number of open streams: each is a query whenever notes come. */
    streams: 100,
    /** Number of notes that a stream reads at once. */
    streamBatch: 200,
    /** How often a silent stream gets a comment: proxies close silent connections, often after 30 s or 60 s. */
    streamComment: Duration.seconds(15),
    /** Seconds after which a client that was rejected at the end of a stream is asked to come back. */
    streamRetry: Duration.seconds(10),
    /** Number of requests a second of one client: a thousand supervisors on one machine need fewer … */
    ratePerSecond: 200,
    /** … and how many at once. */
    rateBurst: 1000,
    /** Number of clients whose rates are remembered. */
    rateClients: 10_000,
    /** Bytes read of a body that is too large: a client that still sends would not see the answer. */
    discardedBytes: 16 * 1024 * 1024,
    /** Number of mistakes that are listed for a request that is rejected. */
    issues: 20
  },

  /** Packer's commands. */
  packer: {
    /** `packer version` answers in a second; other programs called packer may not answer at all. */
    versionTimeout: Duration.seconds(20),
    /** `packer init` downloads plugins. */
    initTimeout: Duration.minutes(15),
    /** `packer inspect` only reads the template, but starts every plugin. */
    inspectTimeout: Duration.minutes(2),
    /** `packer validate` may run data sources. */
    validateTimeout: Duration.minutes(10),
    /** Number of output lines in which the cause of a failure is looked for: Packer prints it last … */
    causeLines: 1000,
    /** … and the characters kept of each. */
    causeLineLength: 4000,
    /** Bytes of Packer's own log in which the cause of a failure is looked for. */
    logBytes: 1000 * 1024,
    /** Bytes of that log in which the port is looked for that Packer waits for: the last lines repeat it. */
    portLogBytes: 4096
  },

  /** Watching a Packer that runs. */
  watch: {
    /** How often Packer's processes and the disk are looked at. */
    interval: Duration.seconds(2),
    /** How long Packer may take to end when it is stopped: it deletes what it made. */
    stopGrace: Duration.seconds(60),
    /** The same where it is blocked on an output that cannot be written, and probably hears nothing. */
    blockedGrace: Duration.seconds(10),
    /** How long the machine of a build may be gone, by phase. A provisioner may reboot it; in other phases Packer needs it. */
    machineGone: {
      boot: Duration.seconds(5),
      connect: Duration.seconds(5),
      provision: Duration.seconds(30)
    } satisfies ByPhase as ByPhase,
    /** How long Packer may wait for one port in silence: it would wait forever. */
    portSilence: Duration.seconds(10),
    /** How long Packer may be silent without its building process: it would wait forever. */
    aloneSilence: Duration.seconds(10),
    /** How long the rest of a line may take: Packer writes whole lines, so what follows is lost. */
    lineSilence: Duration.seconds(10),
    /** How long the output after a half line is waited for: what is there is read at once. */
    lineRead: Duration.seconds(2),
    /** How long the disk must be full, and Packer silent, before Packer is stopped. */
    diskFull: Duration.seconds(6),
    /** How long Packer may be silent after a full disk before that is reported. */
    diskSilence: Duration.seconds(60),
    /** Free bytes below which nothing can be written any more. */
    diskEmptyBytes: 1024 ** 2,
    /** Free bytes below which a warning is due, unless the profile asks for less than ten times as much. */
    diskReserveBytes: 1024 ** 3
  },

  /** Attach mode. */
  attach: {
    /** How long the first look at a machine may take: a few small programs, and a login shell of the user's. */
    lookTimeout: Duration.seconds(60)
  },

  /** What commands show while they wait. */
  progress: {
    /** How often the line on a terminal is drawn: the spinner should turn. */
    redraw: Duration.millis(200),
    /** How often events of all sandboxes are looked for. */
    eventsPoll: Duration.millis(200)
  },

  /** `sandboxer doctor` and `sandboxer host check`. */
  doctor: {
    /** How long a program may take to print its version. */
    programTimeout: Duration.seconds(10),
    /** How long a host behind SSH may take to answer. */
    hostTimeout: Duration.seconds(20),
    /** How long the check of the database may take. It is shorter than `database.lockWait`: a lock should be reported. */
    databaseTimeout: Duration.seconds(10),
    /** How long the integrity check waits for a lock inside SQLite, where it blocks this program. */
    databaseLock: Duration.seconds(1),
    /** How long a guest of one boot sector may take to boot: it takes less than a second … */
    bootTimeout: Duration.seconds(5),
    /** … and how long QEMU may take to end after that: one that is stuck in the kernel ignores SIGTERM. */
    bootGrace: Duration.seconds(3),
    /** Free bytes below which the disk is a warning: less than one usual image … */
    diskLowBytes: 5 * 1024 ** 3,
    /** … and below which it is an error. */
    diskMissingBytes: 1024 ** 3
  }
}

/** All intervals and limits. */
export type TimingShape = typeof defaults

/**
 * The intervals and limits in use.
 *
 * @example
 * const { serve } = yield* Timing
 * yield* Effect.sleep(serve.checkInterval)
 *
 * @category services
 */
export class Timing extends Context.Reference<Timing>()("sandboxer/Timing", {
  defaultValue: (): TimingShape => defaults
}) {}

/** How long what runs in a phase may take to end when it is cancelled. */
export const stopGraceIn = (phase: PhaseName | undefined): Effect.Effect<Duration.Duration> =>
  Effect.map(
    Timing,
    ({ supervision: { stopGrace, stopGraces } }) =>
      (phase === undefined ? undefined : stopGraces[phase]) ?? stopGrace
  )
