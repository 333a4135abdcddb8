// Counts words, in AssemblyScript with its garbage collector and its map.
//
//   update add    some text         replies the number of different words so far
//   query  count  a word            replies how often it came
//   query  list   nothing           replies all words with their counts, in order
//   query  mean   nothing           replies the mean length of a word, a 64-bit float
//   update fail   anything          changes the map, then fails an assertion
@external("ic0", "msg_arg_data_size") declare function argSize(): i32;
@external("ic0", "msg_arg_data_copy") declare function argCopy(to: usize, offset: i32, size: i32): void;
@external("ic0", "msg_reply_data_append") declare function append(from: usize, size: i32): void;
@external("ic0", "msg_reply") declare function reply(): void;

const counts = new Map<string, i32>();
let letters: f64 = 0;
let total: i32 = 0;

function argument(): string {
  const bytes = new ArrayBuffer(argSize());
  argCopy(changetype<usize>(bytes), 0, bytes.byteLength);
  return String.UTF8.decode(bytes);
}

function answer(text: string): void {
  const bytes = String.UTF8.encode(text);
  append(changetype<usize>(bytes), bytes.byteLength);
  reply();
}

function note(word: string): void {
  counts.set(word, (counts.has(word) ? counts.get(word) : 0) + 1);
  letters += <f64>word.length;
  total++;
}

export function canister_update_add(): void {
  const words = argument().split(" ");
  for (let i = 0; i < words.length; i++) {
    if (words[i].length > 0) note(words[i]);
  }
  answer(counts.size.toString());
}

export function canister_query_count(): void {
  const word = argument();
  answer((counts.has(word) ? counts.get(word) : 0).toString());
}

export function canister_query_list(): void {
  const words = counts.keys().sort();
  let text = "";
  for (let i = 0; i < words.length; i++) {
    text += words[i] + "=" + counts.get(words[i]).toString() + " ";
  }
  answer(text);
}

export function canister_query_mean(): void {
  answer((letters / <f64>total).toString());
}

export function canister_update_fail(): void {
  note("this word must not stay");
  assert(false, "asked to fail");
}
