/// The smallest actor with state: a number that outlives every message.
persistent actor Counter {
  var count : Nat = 0;

  public func increment() : async Nat {
    count += 1;
    count
  };

  public func add(n : Nat) : async Nat {
    count += n;
    count
  };

  public query func get() : async Nat { count };

  /// Natural numbers have no bound, so this one is soon larger than a word.
  public func square() : async Nat {
    count *= count;
    count
  };

  /// Subtraction below zero traps, after the assignment before it was made.
  public func subtract(n : Nat) : async Nat {
    let before = count;
    count += 1000;
    count := before - n;
    count
  };
};
