/**
 * A device in one file, made from docs/protocol.md and docs/reference/azukari.cddl alone: nothing of Azukari's own code,
 * only Node's `net` and `crypto`, and any CBOR library (here `cborg`). It enrols with a claim, greets, and asks what the
 * gateway holds of it.
 *
 *   node docs/examples/enrol.mjs mqtt://127.0.0.1:1883 site $(azukari-gateway claim new --region JP-13)
 *
 * It prints one JSON document: what the gateway answered to `fleet.state`.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  randomBytes,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto'
import { connect } from 'node:net'
import { decode, encode as encodeWith, rfc8949EncodeOptions } from 'cborg'

const waitMs = 10_000
const utf8 = (text) => new TextEncoder().encode(text)
const sha256 = (bytes) => createHash('sha256').update(bytes).digest()
/** Deterministic CBOR, RFC 8949 §4.2.1. */
const encode = (value) => encodeWith(value, rfc8949EncodeOptions)

// ——— Keys: COSE_Key (RFC 9052 §7) of an Ed25519 (crv 6) or X25519 (crv 4) public key, and its thumbprint (RFC 9679).

function coseKey(key) {
  const jwk = createPublicKey(key).export({ format: 'jwk' })
  const curve = { Ed25519: 6, X25519: 4 }[jwk.crv]
  return encode(
    new Map([
      [1, 1],
      [-1, curve],
      [-2, new Uint8Array(Buffer.from(jwk.x, 'base64url'))],
    ]),
  )
}

function publicKey(bytes) {
  const map = decode(bytes, { useMaps: true })
  const crv = { 6: 'Ed25519', 4: 'X25519' }[map.get(-1)]
  return createPublicKey({
    key: { kty: 'OKP', crv, x: Buffer.from(map.get(-2)).toString('base64url') },
    format: 'jwk',
  })
}

const thumbprint = (key) => new Uint8Array(sha256(coseKey(key)))

function base32(bytes) {
  let bits = ''
  for (const byte of bytes) bits += byte.toString(2).padStart(8, '0')
  return (bits.match(/.{1,5}/g) ?? [])
    .map((five) => 'abcdefghijklmnopqrstuvwxyz234567'[Number.parseInt(five.padEnd(5, '0'), 2)])
    .join('')
}

function parseBase32(text) {
  let bits = ''
  for (const letter of text) bits += 'abcdefghijklmnopqrstuvwxyz234567'.indexOf(letter).toString(2).padStart(5, '0')
  return Uint8Array.from(bits.match(/.{8}/g) ?? [], (eight) => Number.parseInt(eight, 2))
}

// ——— COSE_Sign1 (tag 18): both header values are protected, the unprotected map is empty.

function sign1(payload, key, domain) {
  const header = encode(
    new Map([
      [1, -8],
      [4, thumbprint(key)],
    ]),
  )
  const toBeSigned = encode(['Signature1', header, utf8(domain), payload])
  const signature = new Uint8Array(sign(null, toBeSigned, key))
  return Buffer.concat([Uint8Array.of(0xd2), encode([header, {}, payload, signature])])
}

function openSign1(message, key, domain) {
  if (message[0] !== 0xd2) throw new Error('not a COSE_Sign1')
  const [header, , payload, signature] = decode(message.subarray(1), { useMaps: true })
  if (!verify(null, encode(['Signature1', header, utf8(domain), payload]), key, signature))
    throw new Error('the signature is wrong')
  return decode(payload)
}

// ——— The channel: COSE_Encrypt0 (tag 16), AES-256-GCM, kid = session, external_aad = the topic.

class Channel {
  #up
  #down
  #session
  #sent = 0n

  constructor(secret, { device, epoch, nonce }, session) {
    const derive = (direction) => {
      const info = encode(['azukari/channel/1', device, epoch, session, direction])
      return new Uint8Array(hkdfSync('sha256', secret, nonce, info, 32))
    }
    this.#up = derive('up')
    this.#down = derive('down')
    this.#session = session
  }

  seal(plaintext, topic) {
    const iv = Buffer.alloc(12)
    iv.writeBigUInt64BE(++this.#sent, 4)
    const header = encode(
      new Map([
        [1, 3],
        [4, this.#session],
      ]),
    )
    const cipher = createCipheriv('aes-256-gcm', this.#up, iv)
    cipher.setAAD(encode(['Encrypt0', header, utf8(topic)]))
    const sealed = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
    return Buffer.concat([Uint8Array.of(0xd0), encode([header, new Map([[5, new Uint8Array(iv)]]), new Uint8Array(sealed)])])
  }

  open(message, topic) {
    const [header, unprotected, sealed] = decode(message.subarray(1), { useMaps: true })
    const decipher = createDecipheriv('aes-256-gcm', this.#down, unprotected.get(5))
    decipher.setAAD(encode(['Encrypt0', header, utf8(topic)]))
    decipher.setAuthTag(sealed.subarray(-16))
    return Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()])
  }
}

// ——— MQTT 3.1.1, as little as is needed: CONNECT, SUBSCRIBE, PUBLISH at QoS 1.

class Mqtt {
  #socket
  #received = Buffer.alloc(0)
  #waiting = []
  #packets = 0
  #onMessage

  static async connect(url, { clientId, username, password, will }, onMessage) {
    const mqtt = new Mqtt()
    mqtt.#onMessage = onMessage
    const { hostname, port } = new URL(url)
    mqtt.#socket = connect(Number(port || 1883), hostname)
    mqtt.#socket.on('data', (data) => mqtt.#take(data))
    mqtt.#socket.on('error', () => mqtt.#socket.destroy())
    const accepted = mqtt.#next(2)
    const flags = 0b1100_0110 | (1 << 3) // user name, password, will at QoS 1, clean session
    mqtt.#write(0x10, [
      text('MQTT'),
      Buffer.from([4, flags, 0, 60]),
      text(clientId),
      text(will.topic),
      bytes(will.payload),
      text(username),
      bytes(password),
    ])
    const [, , code] = [0, ...(await accepted)]
    if (code !== 0) throw new Error(`the broker refused the connection: ${code}`)
    return mqtt
  }

  async subscribe(filters) {
    const granted = this.#next(9)
    this.#write(0x82, [this.#packetId(), ...filters.map((filter) => Buffer.concat([text(filter), Buffer.from([1])]))])
    const body = await granted
    if (body.subarray(2).some((qos) => qos > 2)) throw new Error('the broker refused a subscription')
  }

  async publish(topic, payload, retain = false) {
    const acknowledged = this.#next(4)
    this.#write(0x32 | (retain ? 1 : 0), [text(topic), this.#packetId(), Buffer.from(payload)])
    await acknowledged
  }

  close() {
    this.#write(0xe0, [])
    this.#socket.end()
  }

  #packetId() {
    const id = Buffer.alloc(2)
    id.writeUInt16BE((this.#packets = (this.#packets % 65_535) + 1))
    return id
  }

  /** The next packet of a type. */
  #next(type) {
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => reject(new Error(`the broker does not answer (${type})`)), waitMs)
      const ended = () => reject(new Error('the broker closed the connection'))
      this.#socket.once('close', ended)
      this.#waiting.push({
        type,
        resolve: (body) => {
          clearTimeout(limit)
          this.#socket.off('close', ended)
          resolve(body)
        },
      })
    })
  }

  #write(first, parts) {
    const body = Buffer.concat(parts)
    const length = []
    let left = body.length
    do {
      length.push((left % 128) | (left > 127 ? 0x80 : 0))
      left = Math.floor(left / 128)
    } while (left > 0)
    this.#socket.write(Buffer.concat([Buffer.from([first, ...length]), body]))
  }

  #take(data) {
    this.#received = Buffer.concat([this.#received, data])
    for (;;) {
      let length = 0
      let at = 1
      for (let more = true; more; at++) {
        if (at >= this.#received.length) return
        length += (this.#received[at] & 0x7f) * 128 ** (at - 1)
        more = (this.#received[at] & 0x80) !== 0
      }
      if (this.#received.length < at + length) return
      const first = this.#received[0]
      const body = this.#received.subarray(at, at + length)
      this.#received = this.#received.subarray(at + length)
      if (first >> 4 === 3) this.#message(first, body)
      else {
        const index = this.#waiting.findIndex(({ type }) => type === first >> 4)
        if (index >= 0) this.#waiting.splice(index, 1)[0].resolve(body)
      }
    }
  }

  #message(first, body) {
    const end = 2 + body.readUInt16BE(0)
    const qos = (first >> 1) & 3
    if (qos > 0) this.#write(0x40, [body.subarray(end, end + 2)])
    this.#onMessage(body.toString('utf8', 2, end), new Uint8Array(body.subarray(end + (qos > 0 ? 2 : 0))))
  }
}

const text = (value) => bytes(utf8(value))

function bytes(value) {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(value.length)
  return Buffer.concat([length, value])
}

// ——— The device.

/** Hears one kind of message, each wait bounded. */
class Replies {
  #waiting = []

  take(payload) {
    this.#waiting = this.#waiting.filter(({ wants, resolve }) => {
      const found = wants(payload)
      if (found !== undefined) resolve(found)
      return found === undefined
    })
  }

  next(wants) {
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => reject(new Error('the gateway does not answer')), waitMs)
      this.#waiting.push({
        wants,
        resolve: (found) => {
          clearTimeout(limit)
          resolve(found)
        },
      })
    })
  }
}

const sameBytes = (a, b) => a?.length === b.length && timingSafeEqual(a, b)

function answered({ b, p, s }) {
  if (p) throw new Error(`${p.code}: ${p.detail ?? ''}`)
  return b ?? s
}

export async function enrolAndReadState(url, site, claimText) {
  const { privateKey: key } = generateKeyPairSync('ed25519')
  const device = base32(thumbprint(key).subarray(0, 15))
  const base = `v1/${site}/d/${device}`
  const about = { model: 'enrol.mjs', version: '1', roles: [] }
  const replies = new Replies()
  const hear = (topic, payload) => topic === `${base}/reply` && replies.take(payload)
  /** An answer outside any channel: a map with our id in `i`. */
  const openReply = (id) =>
    replies.next((payload) => {
      if (payload[0] === 0xd0) return undefined
      const reply = decode(payload)
      return sameBytes(reply.i, id) ? reply : undefined
    })
  /** The password of CONNECT: a CWT (tag 61) of five minutes; a claimant's brings its key (claim 8, cnf). */
  const token = (more = []) => {
    const iat = Math.floor(Date.now() / 1000)
    const claims = new Map([[1, device], [3, site], [4, iat + 300], [6, iat], ...more])
    return Buffer.concat([Uint8Array.of(0xd8, 0x3d), sign1(encode(claims), key, '')])
  }
  const will = { topic: `${base}/death`, payload: encode({ epoch: 1 }) }

  // 1. Enrol.
  const [claim, secretText] = claimText.split('.')
  const secret = parseBase32(secretText)
  const claimant = await Mqtt.connect(
    url,
    { clientId: device, username: 'claim', password: token([[8, new Map([[1, coseKey(key)]])]]), will },
    hear,
  )
  await claimant.subscribe([`${base}/reply`])
  const proof = new Uint8Array(
    createHmac('sha256', secret)
      .update(encode(['azukari/enrol/1', site, claim, thumbprint(key)]))
      .digest(),
  )
  const id = new Uint8Array(randomBytes(16))
  const enrolled = openReply(id)
  const request = sign1(encode({ claim, key: coseKey(key), proof, ...about }), key, 'azukari/enrol/1')
  await claimant.publish(`${base}/call/fleet.enrol`, encode({ i: id, s: new Uint8Array(request) }))
  const trust = answered(await enrolled)
  claimant.close()
  const expected = createHmac('sha256', secret)
    .update(encode(['azukari/enrol/1', device, trust.gatewayKey, trust.placementKey, trust.placementAgreement, ...(trust.releaseKey ? [trust.releaseKey] : [])]))
    .digest()
  if (!sameBytes(trust.proof, expected)) throw new Error('the site could not prove that it made the claim')
  const gatewayKey = publicKey(trust.gatewayKey)

  // 2. Greet.
  const mqtt = await Mqtt.connect(url, { clientId: device, username: 'device', password: token(), will }, hear)
  await mqtt.subscribe([`${base}/reply`, `${base}/evt/+`, `${base}/down/+/+`, `v1/${site}/site`])
  const share = generateKeyPairSync('x25519').privateKey
  const nonce = new Uint8Array(randomBytes(16))
  const birth = { site, device, epoch: 1, share: coseKey(share), nonce, at: Date.now(), ...about }
  const welcomed = openReply(nonce)
  await mqtt.publish(`${base}/birth`, sign1(encode(birth), key, 'azukari/birth/1'), true)
  const welcome = openSign1(answered(await welcomed), gatewayKey, 'azukari/welcome/1')
  if (welcome.device !== device || welcome.epoch !== 1 || !sameBytes(welcome.nonce, nonce))
    throw new Error('a welcome for somebody else')
  const agreed = diffieHellman({ privateKey: share, publicKey: publicKey(welcome.share) })
  const channel = new Channel(agreed, birth, welcome.session)

  // 3. Call `fleet.state`.
  const call = new Uint8Array(randomBytes(16))
  const state = replies.next((payload) => {
    if (payload[0] !== 0xd0) return undefined
    const reply = decode(channel.open(payload, `${base}/reply`))
    return sameBytes(reply.i, call) ? reply : undefined
  })
  const topic = `${base}/call/fleet.state`
  const now = Date.now()
  await mqtt.publish(
    topic,
    channel.seal(encode({ c: 'fleet.state@1', i: call, t: now, x: now + waitMs, b: {} }), topic),
  )
  const answer = answered(await state)
  mqtt.close()
  return answer
}

if (process.argv[1] === import.meta.filename) {
  const [url, site, claim] = process.argv.slice(2)
  if (!claim) {
    console.error('node enrol.mjs mqtt://HOST:PORT SITE CLAIM')
    process.exit(2)
  }
  console.log(JSON.stringify(await enrolAndReadState(url, site, claim)))
}
