/**
 * The smallest guest that does what a boot loader and a kernel do: protected mode, an interrupt and the return from
 * it, paging, long mode. A broken KVM may run the BIOS and some real-mode instructions, and fail at any of these. The
 * guest then writes 0x10 to port 0xf4 of QEMU's isa-debug-exit, so QEMU ends with (0x10 << 1) | 1.
 */
export const bootedExitCode = 33

/** The bytes that a BIOS loads to 0x7c00, and what they mean. */
const listing = `
fa                  cli
31c0                xor ax, ax
8ed8                mov ds, ax
8ec0                mov es, ax
8ed0                mov ss, ax
bc007c              mov sp, 0x7c00
bf0010              mov di, 0x1000            page tables at 0x1000, 0x2000, 0x3000:
b90018              mov cx, 0x1800
fc                  cld
f3ab                rep stosw
c70600100320        mov word [0x1000], 0x2003
c70600200330        mov word [0x2000], 0x3003
c606003083          mov byte [0x3000], 0x83   the first 2 MiB, as they are
0f0116a47c          lgdt [0x7ca4]
0f011eaa7c          lidt [0x7caa]
0f20c0              mov eax, cr0
40                  inc ax
0f22c0              mov cr0, eax
ea3c7c0800          jmp 0x08:0x7c3c           protected mode
66b81000            mov ax, 0x10
8ed8                mov ds, ax
8ec0                mov es, ax
8ed0                mov ss, ax
bc007c0000          mov esp, 0x7c00
cd00                int 0
b800100000          mov eax, 0x1000
0f22d8              mov cr3, eax
0f20e0              mov eax, cr4
0c20                or al, 0x20               physical address extension
0f22e0              mov cr4, eax
b9800000c0          mov ecx, 0xc0000080
0f32                rdmsr
80cc01              or ah, 1                  long mode enable
0f30                wrmsr
0f20c0              mov eax, cr0
0d00000080          or eax, 0x80000000        paging
0f22c0              mov cr0, eax
ea7c7c00001800      jmp 0x18:0x7c7c           long mode
cf                  iret                      at 0x7c7b, the handler of interrupt 0
b010                mov al, 0x10              at 0x7c7c
e6f4                out 0xf4, al
f4                  hlt
ebf9                jmp 0x7c7c
90                  align to 0x7c84
0000000000000000    the global descriptor table: nothing,
ffff0000009acf00    0x08: 32-bit code,
ffff00000092cf00    0x10: data,
ffff0000009aaf00    0x18: 64-bit code
1f00847c0000        at 0x7ca4: where that table is
0700b07c0000        at 0x7caa: where the next one is
7b7c0800008e0000    the interrupt descriptor table: 0x08:0x7c7b
`

const code = Buffer.from(
  listing
    .split("\n")
    .map((line) => line.split(" ")[0])
    .join(""),
  "hex"
)

/** All 512 bytes of the sector. */
export const bootSector: Uint8Array = Buffer.concat([
  code,
  Buffer.alloc(510 - code.length),
  Buffer.from([0x55, 0xaa])
])
