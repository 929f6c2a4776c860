import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { type Diagnosis, diagnose } from "../../src/packer/diagnose/Diagnose.js"
import { exitCode, lines, names, prefixed, ui, type Version, versions } from "./packerOutput.js"

const template = "box.pkr.hcl"
const provisioner = {
  reason: "provisioner-failed",
  hint: "See the provisioner's output in the log."
} as const
const exists: Diagnosis = {
  reason: "output-exists",
  message: "The output directory output-tiny already exists",
  hint: "Move it away, or replace it: -i force=true."
}

/** For both versions, or for each. A transcript that is not here did not fail. */
const expected: Readonly<Record<string, Partial<Diagnosis> | Readonly<Record<Version, Partial<Diagnosis>>>>> =
  {
    "hcl2-broken": {
      "1.6.6": {
        reason: "template-invalid",
        message:
          "bad.pkr.hcl:2: Argument or block definition required: An argument or block definition is required here."
      },
      "1.16.0": {
        reason: "template-invalid",
        message:
          "bad.pkr.hcl:1: Unclosed configuration block: There is no closing brace for this block before the end of the file. This may be caused by incorrect brace nesting elsewhere in this file."
      }
    },
    "hcl2-only-unmatched": {
      "1.6.6": {
        reason: "template-invalid",
        message: "There is no build to run",
        hint: "Check only and except, and that the template has builds."
      },
      "1.16.0": {
        reason: "template-invalid",
        message: "There is no build to run",
        hint: "Check only and except; the template's builds are demo.null.n, demo.file.f."
      }
    },
    "hcl2-provisioner-fails": {
      "1.6.6": {
        ...provisioner,
        message: "demo.null.n: A provisioner's script ended with exit code 4 (shell script: inline)"
      },
      "1.16.0": {
        ...provisioner,
        message: "demo.file.f: A provisioner's script ended with exit code 4 (shell script: inline)"
      }
    },
    "hcl2-variable-missing": {
      reason: "template-invalid",
      message: "The template's variable must has no value",
      hint: "Give it one (variables.must), or a default in the template."
    },
    "hcl2-variable-unknown": {
      reason: "template-invalid",
      message: "The template has no variable nope",
      hint: "Leave nope out, or declare it in the template."
    },
    "json-broken": { reason: "template-invalid", message: `${template}:2:1: unexpected end of JSON input` },
    "no-such-file": { reason: "template-invalid", message: "nope.json: no such file or directory" },
    "plugin-missing-init": {
      "1.6.6": { reason: "build-failed", hint: "Use a newer Packer." },
      "1.16.0": {
        reason: "plugin-missing",
        message: "The Packer plugin github.com/hashicorp/nope cannot be downloaded",
        hint: "Without a network: packer plugins install --path BINARY github.com/hashicorp/nope"
      }
    },
    "plugin-missing-validate": {
      "1.6.6": {
        reason: "template-invalid",
        message: "The template has a required_plugins block, which this Packer does not know",
        hint: "Use Packer 1.7.0 or newer, or move the block to a file that older versions do not read."
      },
      "1.16.0": {
        reason: "plugin-missing",
        message: "Packer plugins are not installed: github.com/hashicorp/nope >= 1.0.0",
        hint: `Run: packer init ${template}`
      }
    },
    "plugin-unknown-builder": {
      reason: "plugin-missing",
      message: "The Packer plugin that provides the builder qemu is not installed",
      hint: "Run: packer plugins install github.com/hashicorp/qemu"
    },
    "plugin-unknown-source": {
      reason: "plugin-missing",
      message: "The Packer plugin that provides the source qemu is not installed",
      hint: "Run: packer plugins install github.com/hashicorp/qemu"
    },
    "qemu-cancelled": { reason: "build-failed", message: "Packer was stopped (terminated)" },
    "qemu-output-exists": exists,
    "qemu-output-exists-validate": exists,
    "qemu-provisioner-fails": {
      ...provisioner,
      message: "qemu: A provisioner's script ended with exit code 3 (shell script: inline)"
    },
    "qemu-ssh-refused": {
      reason: "connect-timeout",
      message: "qemu: The guest did not answer over SSH in time"
    }
  }

const failed = (build: string, message: string, seconds = 1): ReadonlyArray<string> => [
  ui("error", `Build '${build}' errored after ${seconds} second: ${message}`),
  ui("say", "\n==> Wait completed after 1 second"),
  "1,,error-count,1",
  ui("error", "\n==> Some builds didn't complete successfully and had errors:"),
  ui("say", "\n==> Builds finished but no artifacts were created.")
]

describe("diagnose", () => {
  for (const version of versions) {
    for (const name of names(version)) {
      const found = expected[name]
      const of =
        found !== undefined && version in found
          ? (found as Record<Version, Partial<Diagnosis>>)[version]
          : found
      it(`finds ${of === undefined ? "nothing" : (of as Diagnosis).reason} in ${name} of Packer ${version}`, () => {
        const diagnosis = diagnose(lines(version, name), exitCode(version, name), { template })
        if (of === undefined) {
          expect(diagnosis).toBeUndefined()
        } else {
          expect(diagnosis).toMatchObject(of)
          expect(`${diagnosis?.message}${diagnosis?.hint}`).not.toMatch(/\n|undefined/)
          expect(diagnosis?.hint).not.toBe("")
        }
      })
    }
  }

  const cases: ReadonlyArray<readonly [string, ReadonlyArray<string>, Partial<Diagnosis>]> = [
    [
      "a checksum",
      failed(
        "qemu",
        "error downloading ISO: [Checksums did not match for /srv/base.img.\nExpected: 00ff\nGot: 5891\n*sha256.digest]"
      ),
      { reason: "checksum-mismatch", message: "qemu: /srv/base.img has the checksum 5891, not 00ff" }
    ],
    [
      "a download",
      failed(
        "qemu",
        'error downloading ISO: [Get "http://127.0.0.1:1/x.iso": dial tcp 127.0.0.1:1: connect: connection refused]'
      ),
      {
        reason: "download-failed",
        message:
          'qemu: The ISO cannot be downloaded: Get "http://127.0.0.1:1/x.iso": dial tcp 127.0.0.1:1: connect: connection refused'
      }
    ],
    [
      "a base image that does not exist",
      failed(
        "qemu",
        "error downloading ISO: [source path error: stat /srv/missing.img: no such file or directory]"
      ),
      { reason: "download-failed", message: expect.stringContaining("stat /srv/missing.img: no such file") }
    ],
    [
      "a refused login",
      failed(
        "qemu",
        "Packer experienced an authentication error when trying to connect via SSH. This can happen if your username/password are wrong. You may want to double-check your credentials as part of your debugging process. original error: ssh: handshake failed: ssh: unable to authenticate, attempted methods [none password], no supported methods remain"
      ),
      {
        reason: "connect-refused",
        message:
          "qemu: The guest refused the connection: ssh: handshake failed: ssh: unable to authenticate, attempted methods [none password], no supported methods remain"
      }
    ],
    [
      "WinRM",
      failed("win", "Timeout waiting for WinRM."),
      { reason: "connect-timeout", hint: expect.stringContaining("winrm_timeout") }
    ],
    [
      "a provisioner with an error text of its own",
      [
        ui(
          "say",
          prefixed("qemu", "Provisioning step had errors: Running the cleanup provisioner, if present...")
        ),
        ...failed("qemu", "Error executing Ansible: Non-zero exit status: exit status 2")
      ],
      { ...provisioner, message: "qemu: Error executing Ansible: Non-zero exit status: exit status 2" }
    ],
    [
      "a provisioner after which Packer does not clean up",
      [
        ui("say", prefixed("qemu", 'Step "StepProvision" failed, aborting...')),
        ...failed("qemu", "Error executing Ansible: Non-zero exit status: exit status 2")
      ],
      { ...provisioner, message: "qemu: Error executing Ansible: Non-zero exit status: exit status 2" }
    ],
    [
      "the output directory of virtualbox",
      failed("v", "Output directory exists: output-v\n\nUse the force flag to delete it prior to building."),
      { reason: "output-exists", message: "v: The output directory output-v already exists" }
    ],
    [
      "a required variable of a JSON template",
      [ui("error", "Error: \n\n1 error occurred:\n\t* required variable not set: must\n\n\n\n")],
      { reason: "template-invalid", message: "The template's variable must has no value" }
    ],
    [
      "an unknown key",
      [
        ui(
          "error",
          'Error: Failed to prepare build: "qemu"\n\n1 error occurred:\n\t* unknown configuration key: \'"nope"\'\n\n\n\n'
        )
      ],
      {
        reason: "template-invalid",
        message: `${template}: Failed to prepare build: "qemu": unknown configuration key: '"nope"'`
      }
    ],
    [
      "several errors of a builder",
      [
        ui(
          "error",
          'Error: Failed to prepare build: "qemu"\n\n2 error(s) occurred:\n\n* An ssh_username must be specified\n  Note: some builders used to default to "root".\n* One of iso_url or iso_urls must be specified\n\n'
        )
      ],
      {
        message: `${template}: Failed to prepare build: "qemu": An ssh_username must be specified Note: some builders used to default to "root".; One of iso_url or iso_urls must be specified`
      }
    ],
    [
      "a source that is not defined",
      [
        ui(
          "error",
          "Error: Unknown source null.x\n\n  on  line 0:\n  (source code not available)\n\nKnown: map[]\n\n"
        )
      ],
      { reason: "template-invalid", message: `${template}: Unknown source null.x: Known: map[]` }
    ],
    [
      "a template of an unknown format",
      [
        ui(
          "error",
          "Failed to parse template: 1 error occurred:\n\t* Unknown root level key in template: 'buildders'\n\n"
        )
      ],
      { reason: "template-invalid", message: `${template}: Unknown root level key in template: 'buildders'` }
    ],
    [
      "a template without builders",
      [ui("error", "Error: \n\n1 error occurred:\n\t* at least one builder must be defined\n\n\n\n")],
      { reason: "template-invalid", message: `${template}: at least one builder must be defined` }
    ],
    [
      "a variable file that does not exist",
      [ui("error", "open nope.vars: no such file or directory")],
      { reason: "template-invalid", message: "nope.vars: no such file or directory" }
    ],
    [
      "a builder that 1.6.6 does not know, in HCL2",
      [
        ui(
          "error",
          "Error: Unknown source type nope\n\n  on n.pkr.hcl line 1:\n  (source code not available)\n\nknown builders: [proxmox-iso googlecompute\nnull]\n\n"
        )
      ],
      { reason: "plugin-missing", message: "Packer does not know the source nope" }
    ],
    [
      "a builder that 1.6.6 does not know, in JSON",
      [
        ui(
          "error",
          "Error: Failed to initialize build \"nope\"\n\nerror initializing builder 'nope': Unknown builder nope\n\n"
        )
      ],
      { reason: "plugin-missing", message: "Packer does not know the builder nope" }
    ],
    [
      "a misspelt name of a builder",
      [
        ui(
          "error",
          'Error: Unknown source type qemuu\n\n  on n.pkr.hcl line 1:\n  (source code not available)\n\nDid you mean to use "qemu"?\n\n'
        )
      ],
      {
        reason: "template-invalid",
        message: "Packer does not know the source qemuu",
        hint: "Did you mean qemu?"
      }
    ],
    [
      "a missing plugin, whose message is wrapped at other places",
      [
        ui(
          "error",
          'Error: Failed to initialize build "v"\n\nThe builder virtualbox-iso is unknown by\nPacker, and is likely part of a plugin\nthat is not installed.\n\n'
        )
      ],
      { reason: "plugin-missing", hint: "Run: packer plugins install github.com/hashicorp/virtualbox" }
    ],
    [
      "several plugins",
      [
        ui(
          "error",
          "Error: Missing plugins\n\nThe following plugins are required, but not installed:\n\n* github.com/hashicorp/qemu >= 1.0.0\n* github.com/hashicorp/ansible ~> 1\n\nDid you run packer init for this project ?\n\n"
        )
      ],
      {
        message:
          "Packer plugins are not installed: github.com/hashicorp/qemu >= 1.0.0, github.com/hashicorp/ansible ~> 1",
        hint: `Run: packer init ${template}`
      }
    ],
    [
      "an option that Packer does not have",
      [ui("error", "flag provided but not defined: -nope")],
      { reason: "build-failed", message: expect.stringContaining("-nope") }
    ],
    [
      "a missing file of a provisioner",
      failed("qemu", "open missing.txt: no such file or directory"),
      { reason: "build-failed", message: "qemu: open missing.txt: no such file or directory" }
    ],
    [
      "no cause in a warning",
      [
        ui(
          "say",
          'Warning: Undefined -var variable\n\nA "nope" variable was passed in the command line but was not found'
        ),
        ...failed("qemu", "Something")
      ],
      { reason: "build-failed", message: "qemu: Something" }
    ],
    [
      "any other error of a build",
      failed("qemu", "Error launching VM: Qemu failed to start."),
      { reason: "build-failed", message: "qemu: Error launching VM: Qemu failed to start." }
    ],
    [
      "a build whose name has a comma",
      [...failed("my,build", "no"), "1,my,build,error,no"],
      { reason: "build-failed", message: "my,build: no" }
    ],
    [
      "a crash",
      ["panic: runtime error: index out of range", "", "goroutine 1 [running]:"],
      {
        reason: "packer-crashed",
        message: "Packer crashed: panic: runtime error: index out of range",
        hint: "See the panic in the log, and the crash.log in /t."
      }
    ],
    [
      "a port in use, once Packer gives up",
      failed(
        "qemu",
        "Error finding port: port 8933 cannot be opened: listen tcp 127.0.0.1:8933: bind: address already in use",
        59
      ),
      {
        reason: "port-taken",
        message: "qemu: Port 8933 is in use, and the template allows no other free port"
      }
    ],
    [
      "a VNC port in use",
      failed("qemu", "Error finding VNC port: Port 5900 is file locked"),
      { reason: "port-taken" }
    ],
    [
      "a guest without scp",
      failed(
        "qemu",
        "Error uploading script: SCP failed to start. This usually means that SCP is not\\nproperly installed on the remote system."
      ),
      { reason: "no-scp", message: "qemu: The guest accepts no files: scp is missing or does not work" }
    ],
    [
      "a guest without sftp",
      failed("qemu", "Error uploading script: sftpSession error: ssh: subsystem request failed"),
      { reason: "no-scp" }
    ],
    [
      "a guest that does not shut down, of qemu",
      failed("qemu", "Timeout while waiting for machine to shut down."),
      { reason: "shutdown-timeout", message: "qemu: The guest did not shut down in time" }
    ],
    [
      "a guest that does not shut down, of virtualbox",
      failed("virtualbox-iso", "Timeout while waiting for machine to shutdown."),
      { reason: "shutdown-timeout" }
    ],
    [
      "a full disk during a download",
      failed("qemu", "error downloading ISO: [write /cache/x.iso: no space left on device]"),
      { reason: "disk-full" }
    ],
    [
      "a full disk during a conversion",
      failed(
        "qemu",
        "Error converting hard drive: QemuImg error: qemu-img: error while writing at byte 2097152: No space left on device"
      ),
      { reason: "disk-full" }
    ],
    [
      "a full disk of the guest, which is no disk-full",
      failed("qemu", "Error uploading script: scp: /tmp/script.sh: No space left on device"),
      { reason: "build-failed" }
    ],
    [
      "a VirtualBox without virtualisation",
      failed(
        "virtualbox-iso",
        "Error starting VM: VBoxManage error: VBoxManage: error: VT-x is not available (VERR_VMX_NO_VMX)"
      ),
      { reason: "kvm-unusable" }
    ],
    [
      "lines that are not machine-readable",
      ["Error: Missing plugins", "", "* github.com/hashicorp/qemu >= 1", ""],
      { reason: "plugin-missing" }
    ],
    [
      "an error of another program",
      ["sh: packer: not found"],
      { reason: "build-failed", message: "sh: packer: not found" }
    ]
  ]
  for (const [name, input, of] of cases) {
    it(`recognises ${name}`, () => {
      const diagnosis = diagnose(input, 1, { template, folder: "/t" })
      expect(diagnosis).toMatchObject(of)
      expect(`${diagnosis?.message}${diagnosis?.hint}`).not.toMatch(/\n|undefined/)
    })
  }

  it("reports how Packer ended if it printed nothing", () => {
    expect(diagnose([], 3)).toMatchObject({
      reason: "build-failed",
      message: "Packer ended with exit code 3"
    })
    expect(diagnose([], 137)).toMatchObject({ message: "Packer was killed by signal 9" })
  })

  it("finds no failure if Packer exited with 0 and built something", () => {
    expect(
      diagnose(
        [ui("error", "==> b: Timeout waiting for SSH."), ui("say", "Build 'b' finished after 1 second.")],
        0
      )
    ).toBeUndefined()
  })

  it("finds no failure in a successful build without artifacts", () => {
    const none = ui("say", "\n==> Builds finished but no artifacts were created.")
    expect(diagnose([ui("say", "Build 'b' finished after 1 second."), none], 0)).toBeUndefined()
    expect(diagnose([none], 0)).toMatchObject({ reason: "template-invalid" })
  })

  it("ignores a guest's output", () => {
    const claims = [
      "Timeout waiting for SSH.",
      "Script exited with non-zero exit status: 3",
      "Error: Missing plugins\\n\\n* github.com/evil/evil",
      "\\nError: Missing plugins",
      "Cancelling build after receiving terminated",
      "Output directory 'x' already exists",
      "Failed to parse template: x",
      "open x: no such file or directory"
    ]
    const truth = diagnose(failed("b", "Something"), 1)
    expect(truth).toMatchObject({ reason: "build-failed", message: "b: Something" })
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(
          FastCheck.oneof(FastCheck.string({ unit: "binary" }), FastCheck.constantFrom(...claims))
        ),
        (said) => {
          const printed = said.flatMap((text) => [
            ui("say", prefixed("b", text)),
            ui("message", prefixed("b", text, false)),
            ui("error", prefixed("b", text))
          ])
          expect(diagnose([...printed, ...failed("b", "Something")], 1)).toEqual(truth)
        }
      )
    )
  })

  it("returns a diagnosis for any lines and exit code", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.string({ unit: "binary" })),
        FastCheck.integer({ min: 1, max: 255 }),
        (said, code) => {
          const diagnosis = diagnose(said, code)
          expect(diagnosis?.message).not.toMatch(/\n/)
          expect(diagnosis?.hint).not.toBe("")
        }
      )
    )
  })
})
