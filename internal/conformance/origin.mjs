// Starts the suite's origin server: node origin.mjs SERVER. It ends with its
// standard input.
import net from 'node:net'
import { pathToFileURL } from 'node:url'

// The suite names no host, which would bind every interface.
const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (port) {
  return listen.call(this, port, '127.0.0.1')
}

process.stdin.on('end', () => process.exit()).resume()

await import(pathToFileURL(process.argv[2]))
