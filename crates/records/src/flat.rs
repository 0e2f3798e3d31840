//! Streams whose records are flat: from one table of fields the record, its schema, builder and view.

/// Defines a flat stream. A field is `name: kind, column, "API member";` with the kinds `text`, `time` (UTC
/// microseconds), `int` (`i32`), `money` (units of 10⁻⁹) and `truth`.
macro_rules! flat_stream {
    (
        stream: $stream:ident;
        $(#[$record_doc:meta])* record: $record:ident;
        builder: $builder:ident; view: $view:ident; row: $row:ident;
        $($(#[$doc:meta])* $name:ident: $kind:ident, $column:expr, $member:literal;)*
    ) => {
        $(#[$record_doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $record<'a> {
            $($(#[$doc])* pub $name: kind!(@reading $kind),)*
        }

        impl $record<'_> {
            /// A hash over all that is stored of the record: with the same fingerprint it has not changed.
            pub fn fingerprint(&self, hasher: &mut FieldHasher) -> u64 {
                let mut json = std::mem::take(&mut hasher.json);
                let unreadable = self.unreadable(&mut json);
                hasher.start();
                $(kind!(@feed $kind, hasher, kind!(@known $kind, self.$name));)*
                hasher.text(unreadable);
                hasher.json = json;
                hasher.finish()
            }

            fn unreadable<'b>(&self, buffer: &'b mut String) -> Option<&'b str> {
                let mut json = UnreadableJson::new(buffer);
                $(kind!(@note $kind, json, $member, self.$name);)*
                json.finish()
            }
        }

        #[doc = concat!("The schema `", stringify!($stream), "/1`, in lower case.")]
        pub fn schema() -> SchemaRef {
            static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
                schema_of(Stream::$stream, vec![
                    $(Field::new($column, kind!(@type $kind), true),)*
                    Field::new(columns::UNREADABLE, DataType::Utf8, true),
                ])
            });
            Arc::clone(&SCHEMA)
        }

        #[doc = concat!("Builds a batch of [`", stringify!($record), "`] records.")]
        #[derive(Debug, Default)]
        pub struct $builder {
            common: CommonBuilder,
            $($name: kind!(@builder $kind),)*
            unreadable: StringBuilder,
            json: String,
        }

        impl $builder {
            /// An empty builder.
            pub fn new() -> Self {
                Self::default()
            }

            /// Rows so far.
            pub fn len(&self) -> usize {
                self.common.len()
            }

            /// Whether there are no rows yet.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Adds a record.
            pub fn append(&mut self, mark: RowMark, record: &$record<'_>) {
                self.common.append(mark);
                $(self.$name.append_option(kind!(@known $kind, record.$name));)*
                self.unreadable.append_option(record.unreadable(&mut self.json));
            }

            /// The batch; the builder is empty again. Fails only where a text column outgrows 2 GiB.
            pub fn finish(&mut self, head: &BatchHead<'_>) -> Result<RecordBatch, ArrowError> {
                let mut columns = self.common.finish(head);
                $(columns.push(Arc::new(kind!(@finish $kind, self.$name)));)*
                columns.push(Arc::new(self.unreadable.finish()));
                RecordBatch::try_new(schema(), columns)
            }
        }

        #[doc = concat!("A batch of [`", stringify!($record), "`] records, row by row.")]
        #[derive(Clone, Debug)]
        pub struct $view<'a> {
            common: CommonView<'a>,
            $($name: &'a kind!(@array $kind),)*
            unreadable: &'a StringArray,
        }

        impl<'a> $view<'a> {
            /// A view of `batch`, which has to have the columns of the stream's schema.
            pub fn new(batch: &'a RecordBatch) -> Result<Self, ViewError> {
                let find = Columns::new(batch);
                Ok(Self {
                    common: CommonView::new(batch)?,
                    $($name: find.get($column)?,)*
                    unreadable: find.get(columns::UNREADABLE)?,
                })
            }

            /// How many rows there are.
            pub fn len(&self) -> usize {
                self.common.rows()
            }

            /// Whether there are none.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// A row, if there is that one.
            pub fn row(&self, row: usize) -> Option<$row<'_, 'a>> {
                (row < self.len()).then_some($row { view: self, row })
            }

            /// All rows.
            pub fn rows(&self) -> impl ExactSizeIterator<Item = $row<'_, 'a>> {
                (0..self.len()).map(|row| $row { view: self, row })
            }
        }

        #[doc = concat!("One row of a [`", stringify!($view), "`].")]
        #[derive(Clone, Copy, Debug)]
        pub struct $row<'v, 'a> {
            view: &'v $view<'a>,
            row: usize,
        }

        impl<'a> $row<'_, 'a> {
            /// The account that the record belongs to.
            pub fn account(&self) -> &'a str {
                self.view.common.account(self.row)
            }

            /// The row's place in its stream.
            pub fn sequence(&self) -> i64 {
                self.view.common.sequence(self.row)
            }

            /// The record's revision.
            pub fn revision(&self) -> i32 {
                self.view.common.revision(self.row)
            }

            /// What happened to the record.
            pub fn change(&self) -> Option<Change> {
                self.view.common.change(self.row)
            }

            /// When the record was read: UTC, microseconds.
            pub fn observed_at(&self) -> i64 {
                self.view.common.observed_at(self.row)
            }

            $($(#[$doc])* pub fn $name(&self) -> Option<kind!(@value $kind)> {
                crate::column::kind_reader!($kind)(self.view.$name, self.row)
            })*

            /// JSON object of the members that could not be read.
            pub fn unreadable(&self) -> Option<&'a str> {
                crate::column::text(self.view.unreadable, self.row)
            }

            /// The record that this row was made of, but for the texts that could not be read.
            pub fn to_record(&self) -> $record<'a> {
                $record { $($name: self.$name().into(),)* }
            }
        }
    };
}
pub(crate) use flat_stream;

/// What a kind of field is in each place.
macro_rules! kind {
    (@reading text) => { Option<&'a str> };
    (@reading $kind:ident) => { Reading<'a, kind!(@value $kind)> };
    (@value text) => { &'a str };
    (@value time) => { i64 };
    (@value int) => { i32 };
    (@value money) => { i128 };
    (@value truth) => { bool };
    (@known text, $value:expr) => { $value };
    (@known $kind:ident, $value:expr) => { $value.known() };
    (@note text, $json:ident, $member:literal, $value:expr) => {};
    (@note $kind:ident, $json:ident, $member:literal, $value:expr) => { $json.note($member, $value) };
    (@feed text, $hasher:ident, $value:expr) => { $hasher.text($value) };
    (@feed money, $hasher:ident, $value:expr) => { $hasher.decimal($value) };
    (@feed $kind:ident, $hasher:ident, $value:expr) => { $hasher.integer($value.map(i64::from)) };
    (@type text) => { DataType::Utf8 };
    (@type time) => { timestamp_type() };
    (@type int) => { DataType::Int32 };
    (@type money) => { money_type() };
    (@type truth) => { DataType::Boolean };
    (@builder text) => { StringBuilder };
    (@builder time) => { TimestampMicrosecondBuilder };
    (@builder int) => { Int32Builder };
    (@builder money) => { Decimal128Builder };
    (@builder truth) => { BooleanBuilder };
    (@array text) => { StringArray };
    (@array time) => { TimestampMicrosecondArray };
    (@array int) => { Int32Array };
    (@array money) => { Decimal128Array };
    (@array truth) => { BooleanArray };
    (@finish time, $builder:expr) => { $builder.finish().with_timezone(UTC) };
    (@finish money, $builder:expr) => { $builder.finish().with_precision_and_scale(money::PRECISION, money::SCALE)? };
    (@finish $kind:ident, $builder:expr) => { $builder.finish() };
}
pub(crate) use kind;
