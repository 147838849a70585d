import { init } from 'onecopy'

const w = await init()
const s = w.sync,
  r = w.rank
const sizes = (process.argv[2] ?? '0,8,64,256,1024,4096,8192,16384,32768,65536,131072,262144,1048576,4194304')
  .split(',')
  .map(Number)
const MAXN = Math.max(...sizes, 1)
const B = Buffer.allocUnsafeSlow(MAXN).fill(r + 1),
  D = Buffer.allocUnsafeSlow(MAXN).fill(r + 3)
const out = []
for (const n of sizes) {
  const b = new Uint8Array(B.buffer, 0, n),
    d = new Uint8Array(D.buffer, 0, n)
  const it = n < 4096 ? 200 : n < 65536 ? 50 : n <= 1 << 20 ? 10 : 3
  let best = 1e9
  for (let rep = 0; rep < 400; rep++) {
    s.barrier()
    const t = performance.now()
    if (r === 0)
      for (let i = 0; i < it; i++) {
        s.send(b, 1, 0)
        s.recvInto(d, 1, 0)
      }
    else
      for (let i = 0; i < it; i++) {
        s.recvInto(d, 0, 0)
        s.send(b, 0, 0)
      }
    const u = ((performance.now() - t) * 1000) / it / 2
    if (u < best) best = u
  }
  out.push([n, best])
}
if (r === 0) for (const [n, b] of out) console.log(n, b.toFixed(3))
