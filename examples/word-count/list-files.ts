import fs from 'node:fs'
import path from 'node:path'

/** Files that are listed; the rest of a larger tree is left out, and told. */
const FILES_MAX = 1_000_000

/** Larger files are left out, and told: each rank has one buffer of this size, whatever it reads. */
export const FILE_BYTES_MAX = 16 * 1024 * 1024

export interface ListedFile {
  /** Below the folder. */
  readonly path: string
  readonly byteLength: number
}

export interface Listing {
  readonly files: ListedFile[]
  /** Symbolic links, which are not followed: a link to a folder above would never end, any other would count twice. */
  links: number
  /** Files of more than {@link FILE_BYTES_MAX}, which are not listed. */
  large: number
  largeBytes: number
  /** Folders and files that cannot be looked at. */
  unreadable: number
  /** Whether the tree has more than a million files. */
  truncated: boolean
}

/**
 * Lists every regular file of readable size below a folder, in an order that depends on their names only.
 * @throws the system's error when the folder itself cannot be read.
 */
export function listFiles(folder: string): Listing {
  const listing: Listing = { files: [], links: 0, large: 0, largeBytes: 0, unreadable: 0, truncated: false }
  const folders = ['']
  for (let below = folders.pop(); below !== undefined; below = folders.pop()) {
    const entries = entriesOf(folder, below, listing)
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const name = path.join(below, entry.name)
      if (entry.isDirectory()) folders.push(name)
      else if (entry.isSymbolicLink()) listing.links++
      else if (entry.isFile()) addFile(folder, name, listing)
      if (listing.truncated) return listing
    }
  }
  return listing
}

function entriesOf(folder: string, below: string, listing: Listing): fs.Dirent[] {
  try {
    return fs.readdirSync(path.join(folder, below), { withFileTypes: true })
  } catch (error) {
    if (below === '') throw error
    listing.unreadable++
    return []
  }
}

function addFile(folder: string, name: string, listing: Listing): void {
  if (listing.files.length === FILES_MAX) {
    listing.truncated = true
    return
  }
  let byteLength: number
  try {
    byteLength = fs.lstatSync(path.join(folder, name)).size
  } catch {
    listing.unreadable++
    return
  }
  if (byteLength <= FILE_BYTES_MAX) {
    listing.files.push({ path: name, byteLength })
  } else {
    listing.large++
    listing.largeBytes += byteLength
  }
}
