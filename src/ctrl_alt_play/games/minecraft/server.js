'use strict'
// Starts flying-squid the way people know a Minecraft server: settings in server.properties of the working directory,
// commands on standard input, one line of log per fact on standard output, exit code 0 after `stop`.

const { once } = require('node:events')
const fs = require('node:fs')
const readline = require('node:readline')

const VERSION = '1.21.4' // the only one whose data is in the image
const GAME_MODES = ['survival', 'creative', 'adventure', 'spectator']
const DIFFICULTIES = ['peaceful', 'easy', 'normal', 'hard']
const GENERATORS = { flat: 'superflat', normal: 'diamond_square' }

function readProperties (file) {
  if (!fs.existsSync(file)) return {}
  const lines = fs.readFileSync(file, 'utf8').split(/\r?\n/).filter(line => /^[^#=]+=/.test(line))
  return Object.fromEntries(lines.map(line => {
    const equals = line.indexOf('=')
    return [line.slice(0, equals).trim(), line.slice(equals + 1).trim()]
  }))
}

function choice (names, name, fallback) {
  return names.includes(name) ? names.indexOf(name) : names.indexOf(fallback)
}

function settings (properties, beforePing) {
  return {
    version: VERSION,
    host: properties['server-ip'] || undefined,
    port: Number(properties['server-port'] || 25565),
    motd: properties.motd || 'A Minecraft Server',
    'max-players': Number(properties['max-players'] || 20),
    'online-mode': properties['online-mode'] === 'true',
    'view-distance': Number(properties['view-distance'] || 4),
    gameMode: choice(GAME_MODES, properties.gamemode, 'creative'),
    difficulty: choice(DIFFICULTIES, properties.difficulty, 'easy'),
    worldFolder: properties['level-name'] || 'world',
    generation: { name: GENERATORS[properties['level-type']] || GENERATORS.flat, options: { worldHeight: 80 } },
    'player-list-text': { header: { text: properties.motd || '' }, footer: { text: '' } },
    'everybody-op': false,
    'max-entities': 100,
    kickTimeout: 10000,
    plugins: {},
    logging: false, // to a file; the console is written in any case
    debug: () => {}, // keeps flying-squid from ending the process with code 0 at an error: see `fail` instead
    beforePing
  }
}

function log (level, message) {
  console.log(`[${new Date().toTimeString().slice(0, 8)} ${level}]: ${message}`)
}

function fail (error) {
  log('ERROR', error.stack)
  process.exit(1)
}

// flying-squid opens the console by itself, with a prompt that would land in the middle of log lines.
const createInterface = readline.createInterface
readline.createInterface = ({ input }) => createInterface({ input })

process.on('uncaughtException', fail)
process.on('unhandledRejection', error => log('WARN', error?.stack ?? error))

const server = require('flying-squid').createMCServer(settings(readProperties('server.properties'), status => {
  status.players.sample = server.players.map(({ username, uuid }) => ({ name: username, id: uuid }))
}))

server.info = message => log('INFO', message)
server.warn = message => log('WARN', message)
server.err = message => log('ERROR', message)
server.log = message => log('INFO', message)
server._server.on('error', fail)

// flying-squid says so when the port is open, a moment before it lets players in.
server.removeAllListeners('listening')
Promise.all([once(server, 'listening'), once(server, 'pluginsReady')]).then(([[port]]) => {
  server.info(`Server listening on port ${port}, version ${VERSION}`)
})

server.commands.add({
  base: 'list',
  info: 'to list the players',
  usage: '/list',
  action: () => {
    const names = server.players.map(player => player.username)
    return `There are ${names.length} of a max of ${server._server.maxPlayers} players online: ${names.join(', ')}`
  }
})

server.handleCommand = async line => {
  const command = line.trim().replace(/^\//, '')
  if (!command) return
  try {
    const answer = await server.commands.use(command)
    if (answer) server.info(answer)
  } catch (error) {
    server.err(error.message) // a mistyped command must not end the game
  }
}
