//! Orders to parcels through the SDK: the world of columns.

use guest_orders::Mapped;
use sandbar_sdk::{Event, Output, Verdict};

fn transform(event: &Event<'_>) -> Verdict {
    match guest_orders::map(event.data()) {
        Ok(Mapped::Parcel { parcel, data }) => Verdict::emit(
            Output::inherit()
                .r#type("dispatch.parcel")
                .subject(parcel)
                .data(data),
        ),
        Ok(Mapped::Nothing) => Verdict::drop("nothing to send"),
        Err(reason) => Verdict::reject(reason),
    }
}

sandbar_sdk::plugin!(transform);
