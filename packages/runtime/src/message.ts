/** A message with its envelope. */
export interface Message<T> {
  readonly data: T
  /** The sender's rank in the communicator. */
  readonly source: number
  readonly tag: number
  /** Length in bytes as it travelled. */
  readonly byteLength: number
}
