// The same without onecopy: what starting node costs on its own.
console.log('connected')
