import { describe, expect, it } from "@effect/vitest"
import type { PhaseName } from "../../src/domain/Phase.js"
import { phaseOf, splitBuild } from "../../src/packer/wire/PhaseLines.js"

const lines: Readonly<Partial<Record<PhaseName, ReadonlyArray<string>>>> = {
  fetch: [
    "Retrieving ISO",
    "Retrieving OVF/OVA",
    "Retrieving Guest additions",
    "Trying base.qcow2",
    "Trying http://example.org/x.iso?checksum=sha256%3A00",
    "base.qcow2 => /srv/build/base.qcow2"
  ],
  create: [
    "Creating temporary RSA SSH key for instance...",
    "Creating temporary ECDSA SSH key for instance...",
    "Creating ephemeral key pair for SSH communicator...",
    "Creating floppy disk...",
    "Creating CD disk...",
    "Creating hard drive...",
    "Creating hard drive output-x/x.vdi with size 40960 MiB...",
    "Creating required virtual machine disks",
    "Starting HTTP server on port 8123",
    "Copying hard drive...",
    "Resizing hard drive...",
    "Found port for communicator (SSH, WinRM, etc): 4345.",
    "Creating virtual machine...",
    "Importing VM: base.ova",
    "Creating forwarded port mapping for communicator (SSH, WinRM, etc) (host port 2222)"
  ],
  boot: [
    "Starting VM, booting from CD-ROM",
    "Starting VM, booting disk image",
    "Starting the virtual machine...",
    "Waiting 1s for boot...",
    "Waiting 1m30s for boot...",
    "Typing the boot command...",
    "Typing the boot command over VNC...",
    "Typing the boot commands over VNC..."
  ],
  connect: [
    "Using ssh communicator to connect: 127.0.0.1",
    "Using SSH communicator to connect: 127.0.0.1",
    "Using WinRM communicator to connect: 127.0.0.1",
    "Waiting for SSH to become available...",
    "Waiting for WinRM to become available...",
    "Connected to SSH!",
    "Connected to WinRM!",
    "Pausing 10s before connecting..."
  ],
  provision: [
    "Provisioning with shell script: /tmp/packer-shell1",
    "Provisioning with Ansible...",
    "Running local shell script: /tmp/packer-shell1",
    "Uploading a.txt => /tmp/a.txt",
    "Executing Ansible: ansible-playbook -e x",
    "Pausing 10s before the next provisioner...",
    'Provisioner failed with "Script exited with non-zero exit status: 1", retrying with 2 trie(s) left'
  ],
  shutdown: [
    "Gracefully halting virtual machine...",
    "Halting the virtual machine...",
    "Shuting down the virtual machine via ACPI power button...",
    "Automatic shutdown disabled. Please shutdown virtual machine."
  ],
  export: [
    "Converting hard drive...",
    "Preparing to export machine...",
    "Exporting virtual machine...",
    "Skipping export of virtual machine..."
  ],
  "post-process": [
    "Running post-processor: manifest",
    "Running post-processor:  (type manifest)",
    "Running post-processor: named (type shell-local)"
  ]
}

describe("phaseOf", () => {
  for (const [phase, texts] of Object.entries(lines)) {
    it(`recognises the lines of ${phase}`, () => {
      expect(texts.map((text) => [text, phaseOf(text)])).toEqual(texts.map((text) => [text, phase]))
    })
  }

  it("finds no phase in other lines", () => {
    for (const text of [
      "",
      "hello",
      "Connecting to VM via VNC (127.0.0.1:5933)",
      "Deleting output directory...",
      "Provisioning step had errors: Running the cleanup provisioner, if present...",
      "Not using a NetBridge -- skipping StepWaitGuestAddress",
      "I am Converting hard drive...",
      "==> qemu: Converting hard drive...",
      "The VM will be run headless, without a GUI."
    ]) {
      expect(phaseOf(text), text).toBeUndefined()
    }
  })
})

describe("splitBuild", () => {
  it("removes the prefix of every line", () => {
    expect(splitBuild("==> qemu: If you want to\n==> qemu: view the screen", ["qemu"])).toEqual({
      build: "qemu",
      lines: ["If you want to", "view the screen"]
    })
    expect(splitBuild("    qemu: a\n    qemu: b", [])).toEqual({ build: "qemu", lines: ["a", "b"] })
  })

  it("removes the prefix of an empty line, whose space Packer trims", () => {
    expect(splitBuild("    demo.file.f:", ["demo.file.f"])).toEqual({ build: "demo.file.f", lines: [""] })
    expect(splitBuild("==> b: a\n==> b:\n==> b: c", ["b"]).lines).toEqual(["a", "", "c"])
    expect(splitBuild("==> b:", []).build).toBe("b")
  })

  it("removes one prefix only, and leaves lines without a prefix", () => {
    expect(splitBuild("==> a: ==> a: Gracefully halting", ["a"]).lines).toEqual(["==> a: Gracefully halting"])
    expect(splitBuild("==> a: x\nBuild 'a' finished after 1 second.", ["a"]).lines).toEqual([
      "x",
      "Build 'a' finished after 1 second."
    ])
    expect(splitBuild("==> a: x\n==> b: y\n==> a:z", ["a", "b"]).lines).toEqual(["x", "==> b: y", "==> a:z"])
  })

  it("returns the post-processor", () => {
    const expected = { build: "demo.file.f", postProcessor: "shell-local", lines: ["post"] }
    expect(splitBuild("==> demo.file.f (shell-local): post", ["demo.file.f"])).toEqual(expected)
    expect(splitBuild("    demo.file.f (shell-local): post", [])).toEqual(expected)
  })

  it("recognises unusual names, the longest first", () => {
    const builds = ["it's", "it's: odd (x)", "my,build"]
    expect(splitBuild("==> it's: odd (x): text", builds)).toEqual({ build: "it's: odd (x)", lines: ["text"] })
    expect(splitBuild("==> it's: odd (x) (manifest): text", builds).build).toBe("it's: odd (x)")
    expect(splitBuild("==> it's: odd (y): text", builds)).toEqual({ build: "it's", lines: ["odd (y): text"] })
    expect(splitBuild("==> my,build: a: b", builds)).toEqual({ build: "my,build", lines: ["a: b"] })
  })

  it("accepts only known names if some are known", () => {
    expect(splitBuild("==> other: x", ["qemu"])).toEqual({ lines: ["==> other: x"] })
    expect(splitBuild("==> qemu2: x", ["qemu"])).toEqual({ lines: ["==> qemu2: x"] })
    expect(splitBuild("==> other: x", []).build).toBe("other")
  })

  it("accepts the names that inspect cannot know", () => {
    expect(splitBuild("==> second.null.renamed: x", ["second.null.m"]).build).toBe("second.null.renamed")
    expect(splitBuild("==> null.renamed: x", ["null.n"]).build).toBe("null.renamed")
    expect(splitBuild("==> third.null.m: x", ["second.null.m"]).build).toBeUndefined()
    expect(splitBuild("==> web-7: x", ["{{user `name`}}-7"]).build).toBe("web-7")
  })

  it("finds no build in Packer's own lines", () => {
    for (const text of [
      "",
      "\n==> Wait completed after 18 milliseconds",
      "\n==> Some builds didn't complete successfully and had errors:",
      "--> qemu: Stored file: out/q.raw",
      "Build 'qemu' finished after 1 second.",
      "  ==> qemu: x",
      "==>qemu: x",
      "==> qemu"
    ]) {
      expect(splitBuild(text, []), text).toEqual({ lines: text.split("\n") })
      expect(splitBuild(text, ["qemu"]), text).toEqual({ lines: text.split("\n") })
    }
  })
})
