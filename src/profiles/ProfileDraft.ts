/** A draft of a first profile, with the possible keys as comments and links to the documentation. */

/** What a draft may be called: also a `vm_name`, which it becomes the default of. */
export const draftName = /^[a-z0-9][a-z0-9.-]{0,63}$/

/** The YAML document of `profile.<name>`. */
export const draft = (name: string): string => `# Your first profile: what a sandbox is created from.
#   sandboxer profile validate                 checks it
#   sandboxer profile explain ${name}          shows what it takes
#   sandboxer create --profile ${name} -i packer_template=TEMPLATE
id: profile.${name}
description: Build ${name} with Packer and keep the image

# What is not said here is as profile.base has it: sandboxer profile show profile.base
extends: profile.base
extension: ext.vm-packer
mode: build

# ttl: 12 hours         # how long the sandbox lives once it is ready; its image stays
# timeout: 8 hours      # how long a build may take
# stall: 20 minutes     # how long it may print nothing before you are warned

# Looked for before anything is built.
placement:
  requires:
    commands: [packer]
    freeDisk: 2 GiB

# The extension declares the inputs; here they get their defaults, and may be narrowed with pattern or choices.
inputs:
  # packer_template: { default: ./${name}.pkr.hcl }       # relative to this file
  vm_name: { default: "${name}" }
  # format: { default: qcow2 }
  # Variables of your template become inputs by \`variable: true\`:
  # cpus: { type: integer, default: 2, variable: true, env: BUILD_CPUS, description: Virtual CPUs }
  # password: { type: secret, required: true, variable: true, description: Password of the build's user }

# A command that makes what the template builds on; it runs again when one of its inputs has changed.
# prepare:
#   command: [./make-base.sh]
#   inputs: [make-base.sh]
#   produces: base.qcow2
#   variable: base_image
`
