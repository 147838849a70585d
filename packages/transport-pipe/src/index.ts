export { pipeProvider } from './pipe-provider.js'
