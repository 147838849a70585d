// Puts this process under a seccomp filter, then opens a job of two ranks in it and prints what they can do.
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cmaProvider } from '@onecopy/transport-cma'

const [action, calls] = [Number(process.argv[2]), process.argv[3]]
const [readv, writev, prctl] = process.arch === 'x64' ? [310, 311, 157] : [270, 271, 167]
const koffi = createRequire(import.meta.url)('koffi')
const library = koffi.load(null)
const syscall = library.func('syscall', 'long', ['long', 'long', 'long', 'void *', 'long', 'long', 'long'])
const move = library.func('memmove', 'int64_t', ['void *', 'int64_t', 'int64_t'])

// struct sock_filter { u16 code; u8 jt; u8 jf; u32 k }: load the number, compare, answer.
const refused = calls === 'both' ? [readv, writev] : [writev]
const program = [[0x20, 0, 0, 0]]
for (const [i, number] of refused.entries()) program.push([0x15, refused.length - i, 0, number])
program.push([0x06, 0, 0, 0x7fff0000], [0x06, 0, 0, action])
const code = Buffer.alloc(128)
for (const [i, [op, jt, jf, k]] of program.entries()) {
  code.writeUInt16LE(op, 8 * i)
  code.writeUInt8(jt, 8 * i + 2)
  code.writeUInt8(jf, 8 * i + 3)
  code.writeUInt32LE(k >>> 0, 8 * i + 4)
}
const header = Buffer.alloc(128)
header.writeUInt16LE(program.length, 0)
header.writeBigUInt64LE(BigInt(move(code, 0, 0)), 8)
if (syscall(prctl, 38, 1, null, 0, 0, 0) !== 0) throw new Error('PR_SET_NO_NEW_PRIVS')
if (syscall(prctl, 22, 2, header, 0, 0, 0) !== 0) throw new Error(`PR_SET_SECCOMP: ${koffi.errno()}`)

const directory = mkdtempSync(join(tmpdir(), 'onecopy-test-'))
const notices = []
const prepared = await cmaProvider.prepare({ size: 2, directory, settings: {} })
const open = (rank) =>
  cmaProvider.open({
    rank,
    size: 2,
    token: new Uint8Array(32),
    directory,
    launcherPid: process.pid,
    descriptor: prepared.descriptor,
    data: prepared.data,
    settings: {},
    notice: (key, message) => notices.push(`${key}: ${message}`),
  })
const [zero, one] = [await open(0), await open(1)]
const canRead = zero.remoteMemory.canRead(1)
const canWrite = zero.remoteMemory.canWrite(1)
let frame = null
zero.trySend(1, Int32Array.of(7), 1, new Uint8Array(0), 0, 0)
one.poll({ frame: (_peer, words) => (frame = words[0]) }, 1)
const probe = cmaProvider.probe()
console.log(
  JSON.stringify({ canRead, canWrite, frame, whyNot: zero.remoteMemory.whyNot(1), notices, probe: probe.detail }),
)
zero.abort()
one.abort()
prepared.release()
rmSync(directory, { recursive: true })
