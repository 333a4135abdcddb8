/// A map from text to text whose methods call this actor's own methods, so
/// that messages stop half-way and go on later.
import Error "mo:core/Error";
import Nat "mo:core/Nat";
import Text "mo:core/Text";

persistent actor Store {
  type Tree = { #leaf; #node : (Tree, Text, Text, Tree) };

  var entries : Tree = #leaf;
  var count : Nat = 0;
  var waiting : Nat = 0;

  func insert(tree : Tree, key : Text, value : Text) : Tree {
    switch tree {
      case (#leaf) { count += 1; #node(#leaf, key, value, #leaf) };
      case (#node(left, k, v, right)) {
        if (key < k) #node(insert(left, key, value), k, v, right)
        else if (key > k) #node(left, k, v, insert(right, key, value))
        else #node(left, k, value, right)
      };
    }
  };

  func find(tree : Tree, key : Text) : Text {
    switch tree {
      case (#leaf) "";
      case (#node(left, k, v, right)) {
        if (key < k) find(left, key) else if (key > k) find(right, key) else v
      };
    }
  };

  func show(tree : Tree) : Text {
    switch tree {
      case (#leaf) "";
      case (#node(left, k, v, right)) show(left) # k # "=" # v # ";" # show(right);
    }
  };

  public func put(key : Text, value : Text) : async () { entries := insert(entries, key, value) };

  public query func get(key : Text) : async Text { find(entries, key) };

  public query func size() : async Nat { count };

  /// Messages that have begun and not ended.
  public query func inFlight() : async Nat { waiting };

  /// All entries in order, as one text.
  public query func dump() : async Text { show(entries) };

  /// Copies an entry by calls of this actor's own methods: two awaits.
  public func copy(from : Text, to : Text) : async Text {
    waiting += 1;
    let value = await get(from);
    await put(to, value);
    waiting -= 1;
    value
  };

  /// Puts `n` entries, one call each, and waits for every one.
  public func fill(prefix : Text, n : Nat) : async Nat {
    waiting += 1;
    var i = 0;
    while (i < n) {
      await put(prefix # Nat.toText(i), "value " # Nat.toText(i * i));
      i += 1;
    };
    waiting -= 1;
    i
  };

  public func fail(reason : Text) : async () { throw Error.reject(reason) };

  /// Catches the reject of a call: the answer tells its text.
  public func attempt(reason : Text) : async Text {
    try {
      await fail(reason);
      "not reached"
    } catch (e) { "caught: " # Error.message(e) }
  };

  /// Changes, awaits, then traps: what was done before the await stays.
  public func trapAfterAwait(key : Text) : async () {
    entries := insert(entries, key, "before the await");
    await put(key # "'", "called");
    entries := insert(entries, key, "after the await");
    assert false;
  };
};
