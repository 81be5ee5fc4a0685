'use strict'
// node join_bot.js HOST PORT NAME SECONDS: a player who joins, stays that long or until SIGTERM, and leaves. Prints one line
// of JSON once in the world, or once that has failed. Ends with 0 if the server kept it all the time, otherwise with 1.

const { createClient } = require('minecraft-protocol')

const JOIN_TIMEOUT_MS = 20000
const [host, port, username, seconds] = process.argv.slice(2)

function fail (error) {
  console.log(JSON.stringify({ joined: false, error: String(error) }))
  process.exit(1)
}

function leave () {
  client.removeAllListeners('end')
  client.once('end', () => process.exit(0))
  client.end('goodbye')
}

if (!(Number(port) > 0 && username && Number(seconds) >= 0)) fail('usage: join_bot.js HOST PORT NAME SECONDS')

const started = Date.now()
const client = createClient({ host, port: Number(port), username, auth: 'offline', version: '1.21.4' })
const deadline = setTimeout(() => fail(`not in the world after ${JOIN_TIMEOUT_MS} ms`), JOIN_TIMEOUT_MS)

client.on('error', error => fail(error.message || error.code))
client.on('end', reason => fail(`the server ended the connection: ${reason}`))

client.once('position', ({ teleportId, x, y, z }) => {
  clearTimeout(deadline)
  client.write('teleport_confirm', { teleportId })
  client.write('look', { yaw: 0, pitch: 0, flags: { onGround: true } })
  console.log(JSON.stringify({ joined: true, name: client.username, position: [x, y, z], took_ms: Date.now() - started }))
  setTimeout(leave, Number(seconds) * 1000)
  process.once('SIGTERM', leave)
})
