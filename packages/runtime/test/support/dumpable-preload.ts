// Preloaded (`--import`) in ranks: the one named by OC_TEST_UNDUMPABLE forbids others to look into it, as ssh-agent does.
import koffi from 'koffi'

const PR_SET_DUMPABLE = 4

if (process.env.ONECOPY_RANK === process.env.OC_TEST_UNDUMPABLE) {
  const prctl = koffi.load(null).func('prctl', 'int', ['int', 'ulong', 'ulong', 'ulong', 'ulong'])
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) !== 0) throw new Error(`prctl(PR_SET_DUMPABLE): errno ${koffi.errno()}`)
}
