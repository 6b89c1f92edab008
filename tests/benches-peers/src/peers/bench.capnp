@0xb9d4a4b2c0e5f317;

interface Bench {
  greet @0 (name :Text) -> (hello :Text);
  echo @1 (bytes :Data) -> (bytes :Data);
  items @2 (count :UInt64, sink :Sink) -> ();
}

interface Sink {
  put @0 (number :UInt64) -> ();
}
