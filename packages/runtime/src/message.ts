/** A message with its envelope. */
export interface Message<T> {
  /** What was sent. */
  readonly data: T
  /** The sender's rank in the communicator. */
  readonly source: number
  /** The tag it was sent with. */
  readonly tag: number
  /** Length in bytes as it travelled. */
  readonly byteLength: number
}
