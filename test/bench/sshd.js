/** An sshd of a benchmark's own: on loopback, with its own keys, and a home of its own for who logs in. */
import { execFileSync, spawn } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"

/** @type {() => Promise<number>} */
const freePort = () =>
  new Promise((resolve) => {
    const server = createServer()
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      server.close(() => resolve(port))
    })
  })

/**
 * Starts one with its files in a folder: `identity` is the key that it lets in, `known_hosts` knows it, `there` is the
 * home.
 * @type {(folder: string) => Promise<{ readonly port: number; readonly stop: () => void }>}
 */
export const startSshd = async (folder) => {
  const file = (/** @type {string} */ name) => join(folder, name)
  mkdirSync(file("there"))
  for (const key of ["host_key", "identity"]) {
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file(key)])
  }
  const port = await freePort()
  writeFileSync(
    file("sshd_config"),
    [
      `Port ${port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${file("host_key")}`,
      `AuthorizedKeysFile ${file("identity.pub")}`,
      `PidFile ${file("sshd.pid")}`,
      "StrictModes no",
      "UsePAM no",
      "PermitRootLogin yes",
      `SetEnv "HOME=${file("there")}"`,
      ""
    ].join("\n")
  )
  writeFileSync(file("known_hosts"), `[127.0.0.1]:${port} ${readFileSync(file("host_key.pub"), "utf8")}`)
  // sshd asks for this folder where root starts it.
  if (process.getuid?.() === 0) mkdirSync("/run/sshd", { recursive: true, mode: 0o755 })
  const sshd = spawn("/usr/sbin/sshd", ["-D", "-f", file("sshd_config")], { stdio: "ignore" })
  while (!existsSync(file("sshd.pid"))) {
    if (sshd.exitCode !== null) throw new Error("sshd ended")
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return { port, stop: () => void sshd.kill("SIGKILL") }
}
