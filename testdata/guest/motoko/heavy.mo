/// Touches a lot of memory: an array of words, a tree of texts, and garbage.
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";
import Prim "mo:prim";

persistent actor Heavy {
  type Tree = { #leaf; #node : (Tree, Nat64, Text, Tree) };

  var words : [var Nat64] = [var];
  var tree : Tree = #leaf;
  var leaves : Nat = 0;
  var state : Nat64 = 0x9e3779b97f4a7c15;

  func random() : Nat64 {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    state
  };

  func insert(tree : Tree, key : Nat64) : Tree {
    switch tree {
      case (#leaf) { leaves += 1; #node(#leaf, key, "leaf " # Nat64.toText(key), #leaf) };
      case (#node(left, k, text, right)) {
        if (key < k) #node(insert(left, key), k, text, right)
        else if (key > k) #node(left, k, text, insert(right, key))
        else tree
      };
    }
  };

  /// Makes the array `n` words long, each its own number.
  public func resize(n : Nat) : async Nat {
    words := Prim.Array_init<Nat64>(n, 0);
    var i = 0;
    while (i < n) {
      words[i] := Nat64.fromNat(i);
      i += 1;
    };
    n
  };

  /// Writes `n` words all over the array.
  public func scatter(n : Nat) : async Nat64 {
    let size = Nat64.fromNat(words.size());
    var i = 0;
    while (i < n) {
      let r = random();
      words[Nat64.toNat(r % size)] := r;
      i += 1;
    };
    state
  };

  /// Adds `n` leaves to the tree; every one makes the path to it anew.
  public func plant(n : Nat) : async Nat {
    var i = 0;
    while (i < n) {
      tree := insert(tree, random() >> 40);
      i += 1;
    };
    leaves
  };

  /// Builds and forgets `n` texts; tells their length together.
  public func garbage(n : Nat) : async Nat {
    var i = 0;
    var length = 0;
    while (i < n) {
      length += ("text " # Nat.toText(i) # " of " # Nat.toText(n)).size();
      i += 1;
    };
    length
  };

  func sum(tree : Tree, start : Nat64) : Nat64 {
    switch tree {
      case (#leaf) start;
      case (#node(left, key, text, right)) {
        sum(right, sum(left, start) *% 31 +% key +% Nat64.fromNat(text.size()))
      };
    }
  };

  /// A number that depends on everything kept.
  public query func checksum() : async Nat64 {
    var total : Nat64 = 0;
    for (w in words.vals()) { total := total *% 31 +% w };
    sum(tree, total)
  };
};
