/** Jobs on a host behind SSH: the same folder and wrapper as on this machine, looked at by a program of sh there. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { HostPath } from "../../domain/HostPath.js"
import { cookie, HostError, type HostShape, type JobOutput, type JobStatus } from "../Host.js"
import { fileError, missingProgram } from "./SshErrors.js"
import type { Link } from "./SshLink.js"
import * as Programs from "./SshPrograms.js"
import { exporting } from "./SshRun.js"

/** The connection broke while a Job was followed. The Job continues, and following resumes. */
const lost = "lost" as const

export const make = (
  link: Link,
  home: HostPath
): Pick<HostShape, "startJob" | "jobStatus" | "jobProcesses" | "livingJobs" | "followJob" | "stopJob"> => {
  const { jobs, ssh } = link.timing
  const poll = Duration.toSeconds(jobs.remotePoll)
  /** How often a program that looks at this interval does so within a time. */
  const pollsIn = (duration: Duration.Duration, seconds = poll) =>
    Math.ceil(Duration.toSeconds(duration) / seconds)
  const failed = (what: string, stderr: string) => fileError(link.name, what, stderr)

  const claimPoll = Duration.toSeconds(jobs.claimPoll)
  const startJob: HostShape["startJob"] = ({ args, cwd, env, folder, program }) =>
    Effect.flatMap(exporting(link.name, env), (exports) =>
      Effect.flatMap(
        // Twice does no harm: one of any number runs.
        link.ask({
          program: `${exports}${Programs.start}`,
          args: [claimPoll, pollsIn(jobs.startGrace, claimPoll), folder, cwd ?? folder, program, ...args].map(
            String
          )
        }),
        ({ exitCode, stderr }) =>
          exitCode === 0
            ? Effect.void
            : exitCode === 127 && stderr.includes(Programs.notFoundMark)
              ? missingProgram(link.name, "setsid")
              : failed(`a job cannot be started in ${folder}`, stderr)
      )
    )

  const jobStatus: HostShape["jobStatus"] = (folder) =>
    Effect.flatMap(
      link.ask({ program: Programs.status, args: [folder] }),
      ({ stderr, stdout }): Effect.Effect<JobStatus, HostError> => {
        const [word, code] = stdout.toString("utf8").trim().split(" ")
        switch (word) {
          case "Exited":
            return Effect.succeed({ _tag: "Exited", exitCode: Number(code) })
          case "Absent":
          case "Running":
          case "Interrupted":
            return Effect.succeed({ _tag: word })
          default:
            return failed(`the job in ${folder} cannot be looked at`, stderr)
        }
      }
    )

  const jobProcesses: HostShape["jobProcesses"] = (folder) =>
    Effect.map(link.ask({ program: Programs.processes, args: [folder] }), ({ stdout }) =>
      [...stdout.toString("utf8").matchAll(/^(\d+) (.*)$/gm)].map(([, pid, name = ""]) => ({
        pid: Number(pid),
        name
      }))
    )

  const mark = `${cookie}=`
  const livingJobs: HostShape["livingJobs"] = Effect.map(
    link.ask({ program: Programs.living, args: [home] }),
    ({ stdout }) =>
      stdout
        .toString("utf8")
        .split("\n")
        .filter((line) => line.startsWith(`${mark}${home}/`))
        .map((line) => HostPath(line.slice(mark.length)))
  )

  const followJob: HostShape["followJob"] = (folder, from) => {
    const goOn = (at: number): Stream.Stream<JobOutput, HostError> => {
      let end = at
      const followed: Stream.Stream<JobOutput, HostError | typeof lost> = Stream.unwrapScoped(
        Effect.map(
          // Nothing is wrong with a job whose host is not to be reached for a while.
          Effect.retry(
            link.open({
              program: Programs.follow,
              args: [folder, at, poll, jobs.pollsPerSearch].map(String),
              held: true
            }),
            {
              while: ({ reason }) => reason === "unreachable",
              schedule: link.backoff
            }
          ),
          ({ ended, stdout }) =>
            Stream.concat(
              Stream.map(stdout, (bytes): JobOutput => {
                end += bytes.length
                return { bytes, end }
              }),
              Stream.execute(
                Effect.flatMap(
                  ended,
                  ({ exitCode, stderr }): Effect.Effect<void, HostError | typeof lost> =>
                    exitCode === undefined
                      ? Effect.fail(lost)
                      : exitCode === 0
                        ? Effect.void
                        : Effect.fail(failed(`the job in ${folder} cannot be followed`, stderr))
                )
              )
            )
        )
      )
      return Stream.catchAll(followed, (error) =>
        error === lost
          ? Stream.concat(
              Stream.execute(Effect.sleep(ssh.followRetry)),
              Stream.suspend(() => goOn(end))
            )
          : Stream.fail(error)
      )
    }
    return goOn(from)
  }

  const stopJob: HostShape["stopJob"] = (folder, { graceSeconds, stop }) =>
    Effect.flatMap(
      link.ask({
        program: Programs.stop,
        args: [
          folder,
          stop,
          Math.ceil(graceSeconds),
          poll,
          pollsIn(jobs.startGrace),
          // The clock there shows whole seconds: the first of them may be over at once.
          Math.ceil(Duration.toSeconds(jobs.wrapperGrace)) + 1,
          pollsIn(jobs.killWait)
        ].map(String)
      }),
      ({ stderr, stdout }) => {
        const [, killed, left] = /^(\d+) (\d+)\n$/.exec(stdout.toString("utf8")) ?? []
        if (left === undefined) return failed(`the job in ${folder} cannot be stopped`, stderr)
        return left === "0"
          ? Effect.succeed({ killed: Number(killed), left: 0 } as const)
          : new HostError({
              reason: "processes-left",
              host: link.name,
              message: `${left} processes of ${folder} are left on ${link.name}, although they were killed`,
              hint: "processes that wait for a disk or a device end when it answers"
            })
      }
    )

  return { startJob, jobStatus, jobProcesses, livingJobs, followJob, stopJob }
}
