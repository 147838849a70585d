// Preloaded (`--import`) in ranks: what another process has open cannot be opened again, as under hidepid or for another user.
import fs from 'node:fs'

const { openSync } = fs
fs.openSync = (path, ...rest) => {
  if (/^\/proc\/\d+\/fd\//.test(String(path))) {
    throw Object.assign(new Error(`EACCES: permission denied, open '${path}'`), { code: 'EACCES' })
  }
  return openSync(path, ...rest)
}
