/** A machine of QEMU that runs an image of profile.tiny-linux: busybox, dropbear and rsync, and nothing else. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import * as fs from "node:fs"
import { join } from "node:path"
import { waitFor } from "../support/patience.js"
import { freePort } from "../support/sshd.js"
import { type Output, run } from "./harness.js"

export class Guest {
  private readonly child: ChildProcess
  private readonly folder: string
  readonly port: number

  private constructor(child: ChildProcess, folder: string, port: number) {
    this.child = child
    this.folder = folder
    this.port = port
  }

  /** Boots an image, which stays as it is, with a key of its own in a new folder; it answers over SSH. */
  static async boot(image: string, folder: string): Promise<Guest> {
    fs.mkdirSync(folder)
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", join(folder, "key")])
    const port = await freePort()
    const log = fs.openSync(join(folder, "qemu.log"), "a")
    const child = spawn(
      "qemu-system-x86_64",
      [
        ...["-machine", "pc,accel=tcg", "-m", "512", "-display", "none", "-no-reboot", "-snapshot"],
        ...["-drive", `file=${image},format=qcow2,if=virtio`],
        ...["-netdev", `user,id=net,hostfwd=tcp:127.0.0.1:${port}-:22`, "-device", "virtio-net,netdev=net"],
        ...["-fw_cfg", `name=opt/sandboxer/authorized_keys,file=${join(folder, "key.pub")}`],
        ...["-serial", `file:${join(folder, "console.log")}`]
      ],
      { stdio: ["ignore", log, log] }
    )
    fs.closeSync(log)
    const guest = new Guest(child, folder, port)
    const answers = async () => {
      if (child.exitCode !== null) throw new Error(fs.readFileSync(join(folder, "qemu.log"), "utf8"))
      return (await guest.ssh("true")).exitCode === 0
    }
    try {
      await waitFor("an answer of the guest", answers, 120_000)
      return guest
    } catch (error) {
      guest.kill()
      throw error
    }
  }

  /** What a configuration says of it, below `hosts` and a name. */
  get settings() {
    return { host: "127.0.0.1", port: this.port, user: "root", identityFile: join(this.folder, "key") }
  }

  /** Has its shell run a line, beside what sandboxer does. */
  ssh(line: string): Promise<Output> {
    return run("ssh", [
      ...["-F", "none", "-i", join(this.folder, "key"), "-p", String(this.port)],
      ...["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=5"],
      ...["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"],
      ...["root@127.0.0.1", line]
    ])
  }

  kill() {
    this.child.kill("SIGKILL")
  }
}
