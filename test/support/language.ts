/** Whether the language can move an ArrayBuffer: from Node 22 on. Only there does a view need methods that refuse. */
export const languageMoves: boolean = 'transfer' in ArrayBuffer.prototype;
