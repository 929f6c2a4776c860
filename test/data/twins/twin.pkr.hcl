variable "vm_name" {
  type    = string
  default = "twin"
}

variable "output_directory" {
  type    = string
  default = "output-twin"
}

variable "text" {
  type    = string
  default = "Hello from a file."
}

source "file" "image" {
  content = "${var.text}\n"
  target  = "${var.output_directory}/${var.vm_name}.txt"
}

source "null" "check" {
  communicator = "none"
}

build {
  sources = ["source.file.image", "source.null.check"]

  provisioner "shell-local" {
    inline = ["echo provisioned", "echo aside >&2"]
  }

  post-processor "shell-local" {
    inline = ["echo post-processed"]
  }
}
