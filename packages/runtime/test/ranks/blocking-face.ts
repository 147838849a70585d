// Every blocking verb where it succeeds, on two ranks. What the event-loop face does the same way is tested elsewhere.
import assert from 'node:assert/strict'
import { ANY_SOURCE, init, Operation, waitAllSync, waitAnySync, waitSomeSync } from 'onecopy'

const world = await init()
const { rank, sync } = world
const other = 1 - rank
const LONG = 1_500_000

for (const length of [0, 1, 1000, LONG]) {
  const data = new Uint8Array(length).fill(rank + 1)
  const into = new Uint8Array(length)
  const status = sync.sendrecvInto(data, other, into, other, { sendTag: 1, recvTag: 1 })
  assert.deepEqual([status.source, status.tag, status.byteLength], [other, 1, length])
  assert.ok(into.every((byte) => byte === other + 1))
  const both = new Uint16Array(length).fill(rank + 7)
  assert.equal(sync.sendrecvReplace(both, other, other, { sendTag: 2, recvTag: 2 }).byteLength, 2 * length)
  assert.ok(both.every((item) => item === other + 7))
  const replaced = sync.sendrecv(both, other, other, { sendTag: 3, recvTag: 3 })
  assert.ok(replaced instanceof Uint16Array && replaced.length === length)

  // buffered: the sender changes its memory at once
  const changing = new Uint8Array(length).fill(rank + 20)
  sync.bsend(changing, other, 4)
  changing.fill(99)
  assert.ok(sync.recv<Uint8Array>(other, 4).every((byte) => byte === other + 20))

  if (rank === 0) {
    sync.rsend(data, other, 5)
    sync.ssend({ length }, other, 6)
    sync.send(data, other, 7)
    sync.send('after', other, 8)
  } else {
    const probed = sync.probe(ANY_SOURCE, 5)
    assert.deepEqual([probed.source, probed.tag, probed.byteLength], [0, 5, length])
    assert.equal(sync.recvInto(new Uint8Array(length), 0, 5).byteLength, length)
    assert.deepEqual(sync.recv(0, 6), { length })
    const matched = sync.mprobe(0, 7)
    assert.equal(sync.iprobe(0, 7), null, 'a matched message can be found again')
    assert.equal(matched.recvInto(new Uint8Array(length)).waitSync().byteLength, length)
    let found = sync.improbe(0, 8)
    while (found === null) found = sync.improbe(0, 8)
    assert.equal(found.recv().waitSync(), 'after')
    const seen = sync.iprobe(0, 8)
    assert.equal(seen, null)
  }
}

// requests that are not done yet when they are waited for
for (let round = 0; round < 20; round++) {
  const receives = [1, 2, 3].map((tag) => world.recv<string>(other, tag))
  const copy = sync.dup()
  if (rank === 0) {
    sync.recv(1, 50)
    for (const tag of [2, 3, 1]) sync.send(`tag ${tag}`, 1, tag)
    for (const [index, text] of waitAllSync(receives).entries()) assert.equal(text, `tag ${index + 1}`)
  } else {
    sync.send('ready', 0, 50)
    const first = waitAnySync(receives)
    assert.ok(first !== null && first.value === `tag ${first.index + 1}`)
    const rest = receives.filter((_, index) => index !== first.index)
    const left = new Set(rest)
    while (left.size > 0) {
      const list = [...left]
      for (const index of waitSomeSync(list)) left.delete(list[index] as (typeof list)[number])
    }
    for (const tag of [3, 1, 2]) sync.send(`tag ${tag}`, 0, tag)
  }
  assert.deepEqual(copy.sync.allgather(rank), [0, 1])
  copy.free()
}

// an operation of the user's that runs while a receive blocks, and receives itself
for (const into of [false, true]) {
  const inner: unknown[] = []
  const receiving = Operation.create<number>((a, b) => {
    if (rank === 0) {
      // takes in what the receive outside waits for
      while (sync.iprobe(1, 71) === null);
      inner.push(into ? sync.recvInto(new Uint8Array(3), 1, 71).byteLength : sync.recv(1, 71))
    }
    return a + b
  })
  if (rank === 0) {
    const sum = world.allreduce(1, receiving)
    sync.send('go', 1, 70)
    const outer = into ? sync.recvInto(new Uint8Array(4), 1, 72).byteLength : sync.recv(1, 72)
    assert.deepEqual(outer, into ? 2 : Uint8Array.of(1, 2))
    assert.equal(await sum, 3)
    assert.deepEqual(inner, [into ? 1 : Uint8Array.of(9)])
  } else {
    sync.recv(0, 70)
    // long enough for rank 0 to block
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
    const sum = world.allreduce(2, receiving)
    sync.send(Uint8Array.of(1, 2), 0, 72)
    sync.send(Uint8Array.of(9), 0, 71)
    assert.equal(await sum, 3)
  }
}
console.log(`rank ${rank} is done`)
