import { OnecopyError } from '@onecopy/transport'
import { allocate, arrayOver, elementTypeName, VALUE } from './element-type.js'
import { ByteCopier } from './memory.js'
import { INTO, type RequestRecord } from './request.js'
import type { ValuePacker } from './value-packer.js'

/** Hands a message's bytes to the receive it matched, in the form that receive asked for. */
export class Delivery {
  readonly copier = new ByteCopier()
  private readonly packer: ValuePacker

  constructor(packer: ValuePacker) {
    this.packer = packer
  }

  /** Writes the envelope into the receive. */
  describe(request: RequestRecord, peer: number, tag: number, byteLength: number): void {
    request.messageSource = peer
    request.messageTag = tag
    request.messageBytes = byteLength
    request.hasMessage = true
  }

  /** Why the message cannot be given to this receive, or null. */
  refusal(request: RequestRecord, type: number, byteLength: number): OnecopyError | null {
    if (request.mode !== INTO) return null
    const { sender: source, messageTag: tag } = request
    if (type === VALUE) {
      return new OnecopyError(
        'ERR_TYPE',
        `rank ${source} sent a packed value, and this side asked for raw bytes: receive it with recv(), or send a typed array`,
        { source, tag },
      )
    }
    if (request.elementType !== 0 && request.elementType !== type) {
      const [theirs, ours] = [elementTypeName(type), elementTypeName(request.elementType)]
      return new OnecopyError('ERR_TYPE', `rank ${source} takes part with a ${theirs}, and this rank with a ${ours}`, {
        source,
        tag,
      })
    }
    if (byteLength > request.capacity) {
      return new OnecopyError(
        'ERR_TRUNCATE',
        `the message of ${byteLength} bytes from rank ${source} (tag ${tag}) does not fit into ${request.capacity} bytes`,
        { source, tag },
      )
    }
    return byteLength > request.bytes!.length ? this.gone(request) : null
  }

  /** What a receive fails with whose memory is not there any more. */
  gone(request: RequestRecord): OnecopyError {
    return new OnecopyError(
      'ERR_BUFFER_GONE',
      'the memory given to this receive was transferred, detached or shrunk before the message came',
      { source: request.sender, tag: request.messageTag },
    )
  }

  /** Delivers a whole message that lies in `bytes`. With `owned`, the memory may become the user's. */
  deliver(
    request: RequestRecord,
    peer: number,
    tag: number,
    type: number,
    bytes: Uint8Array,
    byteOffset: number,
    byteLength: number,
    owned: boolean,
  ): void {
    this.describe(request, peer, tag, byteLength)
    if (request.mode === INTO) {
      const fitting = request.elementType === 0 ? type !== VALUE : type === request.elementType
      if (fitting && byteLength <= request.bytes!.length) {
        if (byteLength > 0) this.copier.copy(request.bytes!, 0, bytes, byteOffset, byteLength)
        request.complete(undefined)
      } else {
        request.fail(this.refusal(request, type, byteLength))
      }
      return
    }
    if (type === VALUE && !owned && byteLength <= this.packer.scratch.length) {
      this.deliverShortValue(request, bytes, byteOffset, byteLength)
      return
    }
    const reusable = owned && byteOffset === 0 && bytes.byteOffset === 0 && bytes.buffer.byteLength === byteLength
    const memory = reusable ? bytes : new Uint8Array(allocate(byteLength))
    if (!reusable) this.copier.copy(memory, 0, bytes, byteOffset, byteLength)
    this.conclude(request, type, memory, [])
  }

  /** Unpacking copies what it keeps, so the same memory serves for every short value. */
  private deliverShortValue(request: RequestRecord, bytes: Uint8Array, byteOffset: number, byteLength: number): void {
    let value: unknown
    try {
      this.copier.copy(this.packer.scratch, 0, bytes, byteOffset, byteLength)
      value = this.packer.unpackScratch(byteLength)
    } catch (error) {
      request.fail(error)
      return
    }
    request.complete(value)
  }

  /** Completes a receive whose bytes are all in memory of its own: `memory` spans its whole buffer, or is the caller's. */
  conclude(request: RequestRecord, type: number, memory: Uint8Array, parts: Uint8Array[]): void {
    if (request.mode === INTO) {
      request.complete(undefined)
      return
    }
    let value: unknown
    try {
      value =
        type === VALUE
          ? this.packer.unpack(memory, parts)
          : arrayOver(type, memory.buffer as ArrayBuffer, memory.byteLength)
    } catch (error) {
      request.fail(error)
      return
    }
    request.complete(value)
  }
}
